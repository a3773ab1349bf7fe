//! Pages that show the OpenAPI document to people: Swagger UI at `/api/docs`, ReDoc at `/api/redoc`. All that they load
//! lies in this program; they fetch nothing from elsewhere, and their policy forbids it.

mod file;
pub(crate) mod redoc;
pub(crate) mod swagger_ui;
