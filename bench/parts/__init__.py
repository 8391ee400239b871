"""What the programs of bench/ are made of. Measures nothing by itself."""
