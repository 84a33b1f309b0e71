//! The variables of a template's `data`, held against the limits of their kinds.
//!
//! The kind is the key without the digits at its end. Keys of no known kind are those of old templates, and have no limit.
//! Source: WeChat's page on subscribe messages.

use serde_json::Value;

use super::ApiError;

/// Characters that a kind may have.
const LIMITS: [(&str, usize); 9] = [
    ("thing", 20),
    ("number", 32),
    ("letter", 32),
    ("symbol", 5),
    ("character_string", 32),
    ("phone_number", 17),
    ("car_number", 8),
    ("name", 20),
    ("phrase", 5),
];

/// 47003, with the field, for the first value that is not right.
pub(super) fn check(data: &Value) -> Result<(), ApiError> {
    let wrong = |field: &str| ApiError {
        errcode: 47003,
        detail: Some(field.to_owned()),
    };
    let Some(data) = data.as_object() else {
        return Err(wrong("data"));
    };
    for (key, entry) in data {
        let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let Some((_, limit)) = LIMITS.iter().find(|(known, _)| *known == kind) else {
            continue;
        };
        let right = entry["value"].as_str().is_some_and(|value| {
            (1..=*limit).contains(&value.chars().count()) && !value.chars().any(char::is_control)
        });
        if !right {
            return Err(wrong(&format!("data.{key}.value")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_the_length_of_its_kind() {
        let data = |key: &str, value: Value| json!({key: {"value": value}});
        for (good, bad) in [
            (
                data("thing1", json!("字".repeat(20))),
                data("thing1", json!("字".repeat(21))),
            ),
            (
                data("phrase3", json!("已经发货了")),
                data("phrase3", json!("")),
            ),
            (data("number12", json!("12")), data("number12", json!(12))),
            (data("name4", json!("小明")), data("name4", json!("小\n明"))),
            (data("keyword1", json!("x".repeat(99))), json!("x")),
        ] {
            assert_eq!(check(&good), Ok(()));
            assert_eq!(check(&bad).unwrap_err().errcode, 47003);
        }
    }
}
