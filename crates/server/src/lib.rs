//! The HTTP face: routes, authentication, OpenAPI, the page.
