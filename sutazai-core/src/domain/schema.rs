//! Limits for JSON Schemas that callers send, and validators for schemas within them.
//!
//! A few lines of schema can describe a validation that needs all memory or days: n definitions that each refer to the
//! next one twice have 2^n paths. The limits are checked on the document alone, before anything compiles, converts or
//! follows it. Paths through `$ref` are counted by dynamic programming, so the check itself takes linear time.
//!
//! A definition may refer to itself, directly or through others, as a list or a tree does. A naive recursion could then
//! visit a value several times at the same place, multiplied at each depth. Therefore the places at which a recursive
//! definition refers back must form a prefix code: no place is a prefix of another, and each is reached by one
//! reference only.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Maximum length of a schema in bytes, as JSON without white space.
pub const MAX_BYTES: usize = 32 * 1024;

/// Maximum nesting depth of objects and arrays.
pub const MAX_DEPTH: usize = 64;

/// Maximum number of values in a schema, scalars included.
pub const MAX_VALUES: usize = 4_000;

/// Maximum number of keys of one object, such as properties.
pub const MAX_KEYS: usize = 100;

/// Maximum length of a key in characters.
pub const MAX_KEY_CHARS: usize = 128;

/// Maximum length of a regular expression in characters.
pub const MAX_PATTERN_CHARS: usize = 256;

/// Maximum number of regular expressions in a schema.
pub const MAX_PATTERNS: usize = 32;

/// Maximum number of schemas in one `anyOf`, `oneOf`, `allOf` or `prefixItems`.
pub const MAX_ALTERNATIVES: usize = 100;

/// Maximum number of subschemas after replacing every `$ref` with its target.
pub const MAX_EXPANDED: u64 = 10_000;

/// Maximum number of `$ref` targets in a schema.
pub const MAX_DEFINITIONS: usize = 200;

/// Maximum length of a chain of subschemas and references.
pub const MAX_EXPANDED_DEPTH: u64 = 128;

/// Maximum size of the automaton of one regular expression in bytes.
const MAX_AUTOMATON_BYTES: usize = 256 * 1024;

/// Rejected keywords: each could make a reference leave the document or change its target.
const REFUSED: &[&str] =
    &["$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor", "$id"];

/// Checks the limits and compiles the schema.
///
/// # Errors
/// `InvalidInput` naming `constraint` if the schema is invalid or exceeds a limit.
pub fn validator(schema: &Value) -> Result<Validator> {
    check(schema)?;
    let patterns =
        PatternOptions::regex().size_limit(MAX_AUTOMATON_BYTES).dfa_size_limit(MAX_AUTOMATON_BYTES);
    let options = jsonschema::options().with_pattern_options(patterns);
    options.build(schema).map_err(|e| refused(format!("a JSON Schema: {}", first_line(&e.to_string()))))
}

/// Checks the limits without compiling the schema.
///
/// # Errors
/// `InvalidInput` naming `constraint` and the exceeded limit.
pub fn check(schema: &Value) -> Result<()> {
    let mut size = Size::default();
    size.count(schema, 1)?;
    let bytes = schema.to_string().len();
    if bytes > MAX_BYTES {
        return Err(refused(format!("a JSON Schema of at most {MAX_BYTES} bytes, got {bytes}")));
    }
    let definitions = Definitions::of(schema)?;
    let reached = definitions.reached();
    definitions.check_recursion(&reached)?;
    definitions.check_expansion(&reached)
}

fn refused(expected: impl std::fmt::Display) -> Error {
    Error::invalid("constraint", format!("expected {expected}"))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// Counters for the limits of the document as plain JSON.
#[derive(Default)]
struct Size {
    values: usize,
    patterns: usize,
}

impl Size {
    fn count(&mut self, value: &Value, depth: usize) -> Result<()> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(refused(format!("a JSON Schema of at most {MAX_VALUES} values")));
        }
        if depth > MAX_DEPTH {
            return Err(refused(format!("a JSON Schema of at most {MAX_DEPTH} levels")));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.count(item, depth + 1)),
            Value::Object(object) => {
                if object.len() > MAX_KEYS {
                    return Err(refused(format!("at most {MAX_KEYS} keys in an object of a JSON Schema")));
                }
                for (key, value) in object {
                    if key.chars().count() > MAX_KEY_CHARS {
                        return Err(refused(format!(
                            "keys of at most {MAX_KEY_CHARS} characters in a JSON Schema"
                        )));
                    }
                    self.count_patterns(key, value)?;
                    self.count(value, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts regular expressions and alternatives. A property that is merely named `pattern` counts as well.
    fn count_patterns(&mut self, key: &str, value: &Value) -> Result<()> {
        let longest = match value {
            Value::String(pattern) if key == "pattern" => {
                self.patterns += 1;
                pattern.chars().count()
            }
            Value::Object(patterns) if key == "patternProperties" => {
                self.patterns += patterns.len();
                0
            }
            Value::Array(alternatives) if matches!(key, "anyOf" | "oneOf" | "allOf" | "prefixItems") => {
                if alternatives.len() > MAX_ALTERNATIVES {
                    return Err(refused(format!("at most {MAX_ALTERNATIVES} schemas in {key}")));
                }
                0
            }
            _ => 0,
        };
        if longest > MAX_PATTERN_CHARS {
            return Err(refused(format!(
                "patterns of at most {MAX_PATTERN_CHARS} characters in a JSON Schema"
            )));
        }
        if self.patterns > MAX_PATTERNS {
            return Err(refused(format!("at most {MAX_PATTERNS} patterns in a JSON Schema")));
        }
        Ok(())
    }
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq)]
enum Step<'a> {
    /// The property of this name.
    Property(&'a str),
    /// Any property of an object.
    Properties,
    /// Any item of an array.
    Items,
}

impl Step<'_> {
    /// Returns whether both steps can lead to the same value.
    fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Step::Property(one), Step::Property(other)) => one == other,
            (Step::Items, Step::Items) => true,
            (Step::Items, _) | (_, Step::Items) => false,
            _ => true,
        }
    }
}

/// A `$ref` inside a definition.
#[derive(Debug)]
struct Reference<'a> {
    /// Index of the definition that it refers to.
    to: usize,
    /// Path from the value that the definition describes to the value that the reference describes.
    place: Vec<Step<'a>>,
    /// Number of enclosing subschemas within the definition.
    depth: u64,
}

/// A `$ref` target or the whole document, with the references inside.
#[derive(Debug, Default)]
struct Definition<'a> {
    references: Vec<Reference<'a>>,
    /// Number of subschemas, without following references.
    size: u64,
    depth: u64,
}

/// All definitions reachable from the document; the first is the document itself.
struct Definitions<'a>(Vec<Definition<'a>>);

impl<'a> Definitions<'a> {
    fn of(schema: &'a Value) -> Result<Self> {
        let mut reader = Reader { root: schema, known: BTreeMap::new(), unread: Vec::new() };
        reader.definition("")?;
        let mut definitions = Vec::new();
        while let Some(value) = reader.unread.get(definitions.len()).copied() {
            let mut definition = Definition::default();
            reader.read(value, &mut Vec::new(), 1, &mut definition)?;
            definitions.push(definition);
        }
        Ok(Self(definitions))
    }

    /// Returns the definitions reachable from each one, itself included if it is recursive.
    fn reached(&self) -> Vec<BTreeSet<usize>> {
        let reached_from = |start: usize| {
            let mut reached = BTreeSet::new();
            let mut next = vec![start];
            while let Some(at) = next.pop() {
                next.extend(
                    self.0[at]
                        .references
                        .iter()
                        .map(|reference| reference.to)
                        .filter(|to| reached.insert(*to)),
                );
            }
            reached
        };
        (0..self.0.len()).map(reached_from).collect()
    }

    fn check_recursion(&self, reached: &[BTreeSet<usize>]) -> Result<()> {
        for (at, definition) in self.0.iter().enumerate() {
            let back: Vec<_> = definition
                .references
                .iter()
                .filter(|reference| reached[reference.to].contains(&at))
                .collect();
            for (i, one) in back.iter().enumerate() {
                for other in &back[i + 1..] {
                    if one.place.iter().zip(&other.place).all(|(one, other)| one.may_meet(other)) {
                        return Err(refused(
                            "a JSON Schema that refers back to itself at most once for the same part of a value",
                        ));
                    }
                }
            }
        }
        self.check_progress(reached)
    }

    /// Rejects definitions that refer back to themselves for the same value, because their validation never ends.
    fn check_progress(&self, reached: &[BTreeSet<usize>]) -> Result<()> {
        for start in 0..self.0.len() {
            let mut at = start;
            // At most one reference back has an empty place, since an empty place is a prefix of every other.
            for _ in 0..=self.0.len() {
                let stays = |reference: &&Reference<'_>| {
                    reference.place.is_empty() && reached[reference.to].contains(&at)
                };
                let Some(next) = self.0[at].references.iter().find(stays) else { break };
                at = next.to;
                if at == start {
                    return Err(refused("a JSON Schema without a $ref that leads back to itself"));
                }
            }
        }
        Ok(())
    }

    fn check_expansion(&self, reached: &[BTreeSet<usize>]) -> Result<()> {
        let mut known: Vec<Option<(u64, u64)>> = vec![None; self.0.len()];
        // In this order every target is computed before the definitions that refer to it, except for references back: a
        // target reaches fewer definitions, or equally many and is recursive while the referring one is not.
        let mut order: Vec<_> = (0..self.0.len()).collect();
        order.sort_by_key(|at| (reached[*at].len(), !reached[*at].contains(at)));
        for at in order {
            let definition = &self.0[at];
            let (mut size, mut depth) = (definition.size, definition.depth);
            for reference in &definition.references {
                let (of_size, of_depth) = match reached[reference.to].contains(&at) {
                    true => (1, 1),
                    false => known[reference.to].unwrap_or((1, 1)),
                };
                size = size.saturating_add(of_size);
                depth = depth.max(reference.depth.saturating_add(of_depth));
            }
            if size > MAX_EXPANDED {
                return Err(refused(format!(
                    "at most {MAX_EXPANDED} subschemas where every $ref is followed"
                )));
            }
            if depth > MAX_EXPANDED_DEPTH {
                return Err(refused(format!(
                    "at most {MAX_EXPANDED_DEPTH} nested subschemas where every $ref is followed"
                )));
            }
            known[at] = Some((size, depth));
        }
        Ok(())
    }
}

/// Collector of definitions during one traversal of the document.
struct Reader<'a> {
    root: &'a Value,
    /// Index of each known definition, by its JSON Pointer.
    known: BTreeMap<String, usize>,
    unread: Vec<&'a Value>,
}

impl<'a> Reader<'a> {
    fn definition(&mut self, pointer: &str) -> Result<usize> {
        if let Some(known) = self.known.get(pointer) {
            return Ok(*known);
        }
        let missing =
            || refused(format!("a $ref to a part of the JSON Schema, got #{}", first_line(pointer)));
        let value = self.root.pointer(pointer).ok_or_else(missing)?;
        if self.unread.len() > MAX_DEFINITIONS {
            return Err(refused(format!(
                "at most {MAX_DEFINITIONS} parts of a JSON Schema that a $ref leads to"
            )));
        }
        self.unread.push(value);
        self.known.insert(pointer.to_owned(), self.unread.len() - 1);
        Ok(self.unread.len() - 1)
    }

    fn read(
        &mut self,
        schema: &'a Value,
        place: &mut Vec<Step<'a>>,
        depth: u64,
        into: &mut Definition<'a>,
    ) -> Result<()> {
        into.size = into.size.saturating_add(1);
        into.depth = into.depth.max(depth);
        let Value::Object(schema) = schema else { return Ok(()) };
        if let Some(keyword) = REFUSED.iter().find(|keyword| schema.contains_key(**keyword)) {
            return Err(refused(format!(
                "a JSON Schema without {keyword}; a $ref to `#/$defs/...` does the same"
            )));
        }
        if let Some(reference) = schema.get("$ref") {
            let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
            let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
            let pointer = pointer.ok_or_else(|| refused("a $ref that begins with `#/`"))?;
            let to = self.definition(&decoded(pointer))?;
            into.references.push(Reference { to, place: place.clone(), depth });
        }
        for (step, inner) in subschemas(schema) {
            let steps = place.len();
            place.extend(step);
            self.read(inner, place, depth + 1, into)?;
            place.truncate(steps);
        }
        Ok(())
    }
}

/// Lists the direct subschemas, each with the step to the value that it describes.
fn subschemas(schema: &Map<String, Value>) -> Vec<(Option<Step<'_>>, &Value)> {
    let mut inner = Vec::new();
    for (key, value) in schema {
        let (step, is_map) = match key.as_str() {
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                inner.extend(properties.map(|(name, value)| (Some(Step::Property(name)), value)));
                continue;
            }
            "patternProperties" => (Some(Step::Properties), true),
            "additionalProperties" | "unevaluatedProperties" | "propertyNames" => {
                (Some(Step::Properties), false)
            }
            "items" | "prefixItems" | "additionalItems" | "unevaluatedItems" | "contains" => {
                (Some(Step::Items), false)
            }
            "dependentSchemas" | "dependencies" => (None, true),
            "anyOf" | "oneOf" | "allOf" | "not" | "if" | "then" | "else" => (None, false),
            _ => continue,
        };
        match value {
            Value::Array(schemas) => inner.extend(schemas.iter().map(|schema| (step.clone(), schema))),
            Value::Object(schemas) if is_map => {
                inner.extend(schemas.values().map(|schema| (step.clone(), schema)));
            }
            schema => inner.push((step, schema)),
        }
    }
    inner
}

/// Decodes the percent encoding of a JSON Pointer in a URI fragment (RFC 6901, section 6).
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = (*first == b'%').then(|| behind.get(..2)).flatten();
        let hex = hex.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ports::{Clock, SystemClock};

    fn refusal(schema: &Value) -> String {
        let e = validator(schema).expect_err(&schema.to_string().chars().take(300).collect::<String>());
        assert_eq!(e.field(), Some("constraint"), "{e}");
        assert!(e.message().starts_with("expected ") && e.message().len() < 300, "{e}");
        e.message().to_owned()
    }

    /// Builds a chain of definitions of which each refers to the next one twice.
    fn doubling(keyword: &str, levels: usize) -> Value {
        let mut definitions = Map::new();
        for level in 0..levels {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            definitions.insert(format!("d{level}"), json!({ keyword: [next, next] }));
        }
        definitions.insert(format!("d{levels}"), json!({ "type": "null" }));
        json!({ "$defs": definitions, "$ref": "#/$defs/d0" })
    }

    #[test]
    fn expansion_of_references_is_limited() {
        for keyword in ["anyOf", "oneOf", "allOf"] {
            // Two equal alternatives both match, so `oneOf` does not.
            let fits = validator(&doubling(keyword, 8)).unwrap().is_valid(&Value::Null);
            assert_eq!(fits, keyword != "oneOf", "{keyword}");
            for levels in [14, 26, 40, 60] {
                let begun = SystemClock.monotonic();
                assert!(refusal(&doubling(keyword, levels)).contains("every $ref is followed"));
                assert!(
                    (SystemClock.monotonic() - begun).as_secs() < 5,
                    "the check itself follows every path"
                );
            }
        }
        let chain = |length: usize| {
            let definitions: Map<_, _> = (0..length)
                .map(|at| (format!("d{at}"), json!({ "not": { "$ref": format!("#/$defs/d{}", at + 1) } })))
                .chain([(format!("d{length}"), json!(true))])
                .collect();
            json!({ "properties": { "a": { "$ref": "#/$defs/d0" } }, "$defs": definitions })
        };
        assert!(validator(&chain(40)).is_ok());
        assert!(refusal(&chain(90)).contains("nested subschemas"));
    }

    #[test]
    fn recursion_is_allowed_where_it_cannot_multiply() {
        let list = json!({ "$defs": { "list": { "anyOf": [{ "type": "null" }, { "type": "object", "properties": {
            "head": { "type": "integer" }, "tail": { "$ref": "#/$defs/list" } }, "required": ["tail"] }] } },
            "$ref": "#/$defs/list" });
        let fits = validator(&list).unwrap();
        assert!(fits.is_valid(&json!({ "head": 1, "tail": { "tail": null } })));
        assert!(!fits.is_valid(&json!({ "head": 1, "tail": { "tail": 1 } })));
        let tree = json!({ "type": "object", "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" },
            "others": { "type": "array", "items": { "$ref": "#" } } } });
        assert!(validator(&tree).unwrap().is_valid(&json!({ "left": { "right": {} }, "others": [{}] })));
        let any_json = json!({ "anyOf": [{ "type": "array", "items": { "$ref": "#" } },
            { "type": "object", "additionalProperties": { "$ref": "#" } }, { "type": ["string", "number"] }] });
        assert!(validator(&any_json).unwrap().is_valid(&json!({ "a": [1, "b", { "c": 2 }] })));
    }

    #[test]
    fn multiplying_or_endless_recursion_is_refused() {
        let back = || json!({ "$ref": "#" });
        let of = |name: &str| json!({ "properties": { name: back() } });
        for schema in [
            json!({ "anyOf": [of("a"), of("a")] }),
            json!({ "properties": { "a": { "oneOf": [back(), back()] } } }),
            json!({ "properties": { "a": back() }, "patternProperties": { "^a$": back() } }),
            json!({ "items": back(), "contains": back() }),
            // The number of visits grows like the Fibonacci numbers.
            json!({ "allOf": [of("a"), { "properties": { "a": of("a") } }] }),
            // The recursion goes through a second definition.
            json!({ "$defs": { "b": { "anyOf": [of("x"), of("y")] } },
                "allOf": [of("z"), { "$ref": "#/$defs/b" }], "properties": { "z": { "$ref": "#/$defs/b" } } }),
        ] {
            assert!(refusal(&schema).contains("at most once for the same part"), "{schema}");
        }
        for schema in [
            back(),
            json!({ "allOf": [back()] }),
            json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "not": { "$ref": "#/$defs/a" } } },
                "properties": { "x": { "$ref": "#/$defs/a" } } }),
        ] {
            assert!(refusal(&schema).contains("leads back to itself"), "{schema}");
        }
    }

    #[test]
    fn limits_are_inclusive_and_named_in_the_error() {
        let keys = |n: usize| {
            let properties: Map<_, _> = (0..n).map(|at| (format!("a{at}"), json!({}))).collect();
            json!({ "properties": properties })
        };
        let key = |n: usize| json!({ "properties": { "_".repeat(n): { "type": "null" } } });
        let nested = |n: usize| (1..n).fold(json!({}), |inner, _| json!({ "not": inner }));
        let pattern = |n: usize| json!({ "pattern": "a".repeat(n) });
        let patterns = |n: usize| json!({ "allOf": vec![json!({ "pattern": "^a+$" }); n] });
        let alternatives = |n: usize| json!({ "anyOf": vec![json!({ "type": "null" }); n] });
        let values = |n: usize| json!({ "enum": vec![json!(0); n] });
        let long = |n: usize| json!({ "const": "x".repeat(n) });
        for (limit, fitting, over) in [
            ("100 keys", keys(100), keys(101)),
            ("128 characters", key(128), key(129)),
            ("64 levels", nested(64), nested(65)),
            ("256 characters", pattern(256), pattern(257)),
            ("32 patterns", patterns(32), patterns(33)),
            ("100 schemas in anyOf", alternatives(100), alternatives(101)),
            ("4000 values", values(MAX_VALUES - 2), values(MAX_VALUES - 1)),
            ("32768 bytes", long(MAX_BYTES - 12), long(MAX_BYTES - 11)),
        ] {
            validator(&fitting).unwrap_or_else(|e| panic!("{limit}: {e}"));
            assert!(refusal(&over).contains(limit), "{limit}: {}", refusal(&over));
        }
        assert!(
            refusal(&json!({ "pattern": r"^\p{L}{100}xN$" })).contains("JSON Schema"),
            "256 KiB of automaton"
        );
    }

    #[test]
    fn references_stay_within_the_document() {
        for (schema, expected) in [
            (json!({ "$ref": "http://json-schema.org/draft-07/schema#" }), "begins with `#/`"),
            (json!({ "$ref": "#name" }), "begins with `#/`"),
            (json!({ "$ref": 7 }), "begins with `#/`"),
            (json!({ "$ref": "#/$defs/missing" }), "#/$defs/missing"),
            (json!({ "not": { "$dynamicRef": "#/$defs/a" } }), "without $dynamicRef"),
            (json!({ "items": { "$id": "b" } }), "without $id"),
            (json!({ "type": "nonsense" }), "JSON Schema"),
        ] {
            assert!(refusal(&schema).contains(expected), "{}", refusal(&schema));
        }
        let escaped = json!({ "$defs": { "a/b~ c": { "type": "null" } }, "$ref": "#/$defs/a~1b~0%20c" });
        assert!(!validator(&escaped).unwrap().is_valid(&json!(1)));
        let data = json!({ "enum": [{ "$ref": "nowhere" }], "properties": { "$ref": { "type": "string" } } });
        assert!(validator(&data).unwrap().is_valid(&json!({ "$ref": "nowhere" })));
    }

    /// Generates arbitrary JSON that contains keywords of schemas.
    fn any_schema() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "#(/\\$defs/[ab])?".prop_map(Value::from),
            "[a-z(\\[{%]{0,4}".prop_map(Value::from),
        ];
        let keyword = prop::sample::select(vec![
            "$ref",
            "$defs",
            "a",
            "b",
            "properties",
            "items",
            "anyOf",
            "not",
            "pattern",
            "type",
            "patternProperties",
        ]);
        scalar.prop_recursive(5, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(keyword.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_schemas_do_not_panic(schema in any_schema(), value in any_schema()) {
            if let Ok(validator) = validator(&schema) {
                let _ = validator.is_valid(&value);
            }
        }
    }
}
