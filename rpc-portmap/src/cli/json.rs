//! JSON, as far as the program writes it.

use std::fmt;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Number(i64),
    Text(String),
    Flag(bool),
    Nothing,
    List(Vec<Json>),
    /// In the order in which the members are to be read.
    Object(Vec<(&'static str, Json)>),
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Json {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<I: IntoIterator<Item = Json>>(values: I) -> Self {
        Self::List(values.into_iter().collect())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => quoted(text, f),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Nothing => f.write_str("null"),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}\"{name}\":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_rfc_says() {
        let value = Json::Object(vec![
            ("a", Json::from(1_u32)),
            ("b", Json::from("q\"\\\n\u{7f}ü")),
            (
                "c",
                [Json::Flag(true), Json::from(None::<u32>)]
                    .into_iter()
                    .collect(),
            ),
        ]);
        let text = r#"{"a":1,"b":"q\"\\\u000a\u007fü","c":[true,null]}"#;
        assert_eq!(value.to_string(), text);
    }
}
