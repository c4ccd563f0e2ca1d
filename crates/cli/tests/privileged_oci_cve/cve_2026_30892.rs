//! A user that is no number is taken for another one.

use crate::oci::Bundle;

#[test]
fn privileged_users_are_numbers_and_nothing_else() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "--detach", id]);
    for wrong in [
        "",
        ":",
        "5:",
        ":6",
        "5:6:7",
        "5 ",
        " 5",
        "+5",
        "-1",
        "0x5",
        "5x",
        "5:6x",
        "1e3",
        "４",
        "root",
        "4294967296",
        "5:4294967296",
        "99999999999999999999",
        "5\t",
        "5:-0",
    ] {
        let output = bundle.oci(&["exec", &format!("--user={wrong}"), id, "id"]);
        assert!(!output.status.success(), "`{wrong}` was taken: {output:?}");
    }
    // What `setresuid` takes for "leave it".
    let output = bundle.oci(&["exec", "--user=4294967295", id, "id"]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(bundle.runs(&["exec", "--user=05:6", id, "id", "-u"]), "5\n");
    bundle.runs(&["delete", "--force", id]);
}
