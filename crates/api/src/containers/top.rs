//! `GET /containers/{id}/top`.

use crate::wire::wire;

wire! {
    /// A table of processes, one row of cells each.
    pub struct TopResponse {
        pub processes: Vec<Vec<String>>,
        pub titles: Vec<String>,
    }
}
