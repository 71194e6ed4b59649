//! The rule of templates, under random templates and values: whatever strangers write, a filled template is JSON.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::Template;

/// Text of any characters, and text that could end a string or a placeholder.
fn text() -> impl Strategy<Value = String> {
    let odd =
        ["\"", "\\", "\\\"", "{{", "}}", "{{type}}", "{", ",", "\n", "\u{0}", "\u{7f}", "\u{2028}", "u0041"];
    let odd = vec(select(odd.to_vec()), 0..6).prop_map(|parts| parts.concat());
    prop_oneof![any::<String>(), odd]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Words of templates in any order, and JSON with placeholders anywhere. Some of both are valid.
fn template() -> impl Strategy<Value = String> {
    let placeholders = ["{{text}}", "{{data}}", "{{ data.0 }}"];
    let words = r#"{{text}} {{data}} " " \ \u00 41 [ ] { } : , 1 null - "{{text}}" [{{data}}] "a":"#;
    let words: Vec<&str> = words.split(' ').collect();
    let words = vec(select(words), 1..9).prop_map(|words| words.concat());
    let places = vec((any::<Index>(), select(placeholders.to_vec())), 1..4);
    let filled = (value(), places).prop_map(|(value, places)| {
        let mut text = value.to_string();
        for (place, placeholder) in places {
            let at = text.floor_char_boundary(place.index(text.len() + 1));
            text.insert_str(at, placeholder);
        }
        text
    });
    prop_oneof![words, filled]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn a_filled_template_is_json_that_contains_the_values(text in text(), data in value()) {
        let template = r#"{"a": "<{{text}}>", "b": {{data}}, "c": "{{data}}", "d": ["{{type}}", {{text}}]}"#;
        let values = json!({ "text": text, "data": data, "type": "job.settled" });
        let filled = Template::parse(template).unwrap().fill(&values).unwrap();
        let read: Value = serde_json::from_str(&filled).unwrap();
        let shown = match &data {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        prop_assert_eq!(&read["b"], &data);
        prop_assert_eq!(&read["a"], &json!(format!("<{text}>")));
        prop_assert_eq!(&read["c"], &json!(shown));
        prop_assert_eq!(&read["d"], &json!(["job.settled", text]));
        prop_assert_eq!(read.as_object().map(|fields| fields.len()), Some(4));
    }

    #[test]
    fn every_accepted_template_is_filled_to_json(template in template(), text in text(), data in value()) {
        if let Ok(template) = Template::parse(&template) {
            for values in [json!({ "text": text, "data": data }), json!({ "text": "41" }), Value::Null] {
                let filled = template.fill(&values).unwrap();
                let read: Result<Value, _> = serde_json::from_str(&filled);
                prop_assert!(read.is_ok(), "{} became {filled}", template.as_str());
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), other in template()) {
        let _ = Template::parse(&text);
        let _ = Template::parse(&format!("{text}{other}"));
    }
}
