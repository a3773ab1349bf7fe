//! Types of OpenAI's protocol (platform.openai.com/docs/api-reference), as far as the OpenAI-compatible API supports
//! it.

pub(crate) mod chat;
pub(crate) mod completion;
pub(crate) mod embedding;
pub(crate) mod error;
pub(crate) mod model;
mod text_input;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;

    use super::chat::CreateChatCompletion;
    use super::embedding::CreateEmbeddings;
    use crate::extract::Protocol;

    const DOCS: &str = include_str!("../../../../docs/http-models.md");

    /// Reads the table below a heading of the docs: how the server handles each parameter.
    fn documented(heading: &str) -> BTreeMap<&str, &str> {
        let (_, section) = DOCS.split_once(heading).unwrap();
        let section = section.split("\n### ").next().unwrap();
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            Some((cells.next()?.trim_matches('`'), cells.next()?))
        };
        section.lines().filter_map(row).collect()
    }

    /// Collects how the type handles each parameter. Serde lists its own fields in the error about an unknown one.
    fn real<T: Protocol + DeserializeOwned>() -> BTreeMap<String, &'static str> {
        let e = serde_json::from_str::<T>(r#"{"no such parameter": 1}"#).err().unwrap().to_string();
        let (_, fields) = e.split_once("expected one of ").unwrap();
        let taken = fields.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), "taken"));
        let ignored = T::HARMLESS.iter().map(|name| ((*name).to_owned(), "ignored"));
        let refused = T::MISSING.iter().map(|(name, _)| ((*name).to_owned(), "refused"));
        taken.chain(ignored).chain(refused).collect()
    }

    #[test]
    fn docs_list_every_parameter_and_its_handling() {
        for (heading, real) in [
            ("### Parameters of `POST /v1/chat/completions`", real::<CreateChatCompletion>()),
            ("### Parameters of `POST /v1/embeddings`", real::<CreateEmbeddings>()),
        ] {
            let real: BTreeMap<_, _> = real.iter().map(|(name, what)| (name.as_str(), *what)).collect();
            assert!(real.len() >= 5, "{real:?}");
            assert_eq!(documented(heading), real, "{heading}");
        }
    }
}
