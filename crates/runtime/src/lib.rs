//! OCI runtime: lowers a runtime specification to a plan
