//! The two servers that everybody may use.

use crate::{harness::servers::Server, matrix};

/// Tries it on both.
fn both(feature: fn(&Server)) {
    feature(&Server::elasticsearch());
    feature(&Server::opensearch());
}

#[test]
fn every_operation_does_its_work() {
    both(matrix::every_operation);
}

#[test]
fn documents_are_written_through_an_alias() {
    both(matrix::an_alias);
}

#[test]
fn documents_pass_an_ingest_pipeline_and_wait_for_one_that_is_missing() {
    both(matrix::a_pipeline);
}
