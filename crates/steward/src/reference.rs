//! The reference in `docs/reference`, made from what the program itself goes by: its commands, its configuration's types
//! and its list of routes. Nothing is listed here by hand.

mod command_line;
mod configuration;
mod fields;
mod http;

use steward_gateway::openapi;

use crate::cli::Part;
use crate::commands;

/// One part, as Markdown; the OpenAPI document as JSON.
pub(crate) fn text(part: Part) -> String {
    match part {
        Part::CommandLine => command_line::text(),
        Part::Configuration => configuration::text(&commands::config_schema()),
        Part::Http => http::text(&openapi::document()),
        Part::Openapi => format!("{:#}\n", openapi::document()),
    }
}

/// The beginning of a page.
fn head(title: &str, about: &str) -> String {
    format!("<!-- Made by `cargo xtask docs`; change the code, not this page. -->\n\n# {title}\n\n{about}\n")
}

/// Text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests;
