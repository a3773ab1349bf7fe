//! Query parameters of the routes, as the OpenAPI description names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use sutazai_core::Error;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::access::has_ticket;

/// Names of the query parameters of each operation, by path and method.
type Names = BTreeMap<(String, &'static str), BTreeSet<String>>;

/// Query parameters of all routes, read from the complete OpenAPI description.
#[derive(Debug, Default)]
pub(crate) struct QueryParameters(OnceLock<Names>);

impl QueryParameters {
    /// Collects the parameters from the description.
    pub(crate) fn learn(&self, document: &OpenApi) {
        let mut names = Names::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ] {
                if let Some(operation) = operation {
                    names.insert((path.clone(), method), of_operation(operation));
                }
            }
        }
        // Fails when another router over the same app has set them; its routes are the same.
        let _ = self.0.set(names);
    }

    /// Checks the query parameters of a request.
    ///
    /// # Errors
    /// `InvalidInput` naming a parameter that the route does not have. Routes that are not in the description, such
    /// as pages, accept any.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Error> {
        let query = request.uri().query().unwrap_or_default();
        let route = request.extensions().get::<MatchedPath>().filter(|_| !query.is_empty());
        let Some(known) = route.and_then(|route| self.of(route.as_str(), request.method())) else {
            return Ok(());
        };
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&*name) {
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                let expected = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("this route has no such parameter; expected {expected}");
                return Err(Error::invalid(name, message));
            }
        }
        Ok(())
    }

    /// Returns the parameters of a route. The router may be nested, so the route may have a prefix: the longest path
    /// that the route ends with is the right one.
    fn of(&self, route: &str, method: &Method) -> Option<&BTreeSet<String>> {
        let route = route.replace("{*", "{");
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let names =
            self.0.get()?.iter().filter(|((path, of), _)| *of == method && route.ends_with(path.as_str()));
        names.max_by_key(|((path, _), _)| path.len()).map(|(_, names)| names)
    }
}

fn of_operation(operation: &Operation) -> BTreeSet<String> {
    let parameters = operation.parameters.iter().flatten();
    let in_query = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        _ => None,
    });
    in_query.chain(has_ticket(operation).then(|| "ticket".to_owned())).collect()
}
