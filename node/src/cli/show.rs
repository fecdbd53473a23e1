//! Answers as tables for people.

use comfy_table::{Table, presets};
use serde_json::Value;

/// A table with these columns.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = empty();
    table.set_header(header);
    table
}

/// A table of names and values.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = empty();
    for (name, value) in facts {
        table.add_row([name.to_owned(), value]);
    }
    table
}

fn empty() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// The table as text, without the blank before its first column and those that pad its last.
pub(super) fn text(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(&line).trim_end())).collect()
}

/// A member of an answer in words; `-` for what is null or absent.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
        Value::Object(members) if members.is_empty() => "-".to_owned(),
        other => clean(&other.to_string()),
    }
}

/// The text without what could move a terminal's cursor.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_as_words_and_leave_the_terminal_alone() {
        assert_eq!(word(&json!(null)), "-");
        assert_eq!(word(&json!(true)), "yes");
        assert_eq!(word(&json!(["a", "b"])), "a, b");
        assert_eq!(word(&json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(word(&json!("\u{1b}]0;x\u{7}")), "\u{fffd}]0;x\u{fffd}");
    }

    #[test]
    fn a_table_is_aligned_and_not_padded() {
        let mut table = table(&["node", "role"]);
        table.add_row(["1", "leader"]);
        assert_eq!(text(&table), "node  role\n1     leader\n");
        assert_eq!(text(&facts([("term", "3".to_owned())])), "term  3\n");
    }
}
