//! Lists in query parameters: values separated by commas.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use sutazai_core::Error;

/// Deserializes values separated by commas.
///
/// # Errors
/// That of the first value that cannot be parsed.
pub(crate) fn list<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(text: D) -> Result<Vec<T>, D::Error> {
    let text = Cow::<str>::deserialize(text)?;
    text.split(',').map(|word| word.parse().map_err(|e: Error| D::Error::custom(e.message()))).collect()
}
