//! Pages that render the OpenAPI description: Swagger UI at `/api/docs`, ReDoc at `/api/redoc`. All their files are
//! embedded in the program; they load nothing from other hosts, and their content security policy forbids it.

mod file;
pub(crate) mod redoc;
pub(crate) mod swagger_ui;
