use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::Packed;

/// The product through the packed matrix is near the product of the floats, for few rows and for many.
fn check(rows: usize, format: GgmlDType) {
    let (outputs, inputs) = (300, 64);
    let cell = |i: usize| ((i * 7919 % 1000) as f32 - 500.0) / 500.0;
    let matrix = Tensor::from_vec((0..outputs * inputs).map(cell).collect::<Vec<_>>(), (outputs, inputs), &Device::Cpu).unwrap();
    let xs = Tensor::from_vec(
        (0..rows * inputs).map(|i| cell(i + 3)).collect::<Vec<_>>(),
        (rows, inputs),
        &Device::Cpu,
    )
    .unwrap();
    let packed = Packed::new(&QTensor::quantize(&matrix, format).unwrap()).unwrap();
    let wanted = xs.matmul(&matrix.t().unwrap()).unwrap();
    let got = packed.forward(&xs).unwrap();
    let difference = (wanted - got)
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(difference < 0.15, "{rows} rows differ by {difference}");
}

#[test]
fn one_row_is_multiplied_packed() {
    check(1, GgmlDType::F32);
    check(1, GgmlDType::Q8_0);
}

#[test]
fn many_rows_are_multiplied_unpacked() {
    check(20, GgmlDType::F32);
    check(20, GgmlDType::Q8_0);
}

#[test]
fn rows_of_a_table_are_found_by_number() {
    let table = Tensor::arange(0f32, 96.0, &Device::Cpu).unwrap().reshape((3, 32)).unwrap();
    let packed = Packed::new(&QTensor::quantize(&table, GgmlDType::F32).unwrap()).unwrap();
    let rows = packed.rows(&[2, 0]).unwrap().to_vec2::<f32>().unwrap();
    assert!((rows[0][31] - 95.0).abs() < 0.5 && rows[1][0].abs() < 0.5);
    assert!(packed.rows(&[3]).is_err());
}
