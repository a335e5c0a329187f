//! The Engine API server: configuration, HTTP, routes, views.
