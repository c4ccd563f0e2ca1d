use super::*;

fn set(version: u8, json: &str) -> Vec<(String, String)> {
    let resources: Resources = serde_json::from_str(json).unwrap();
    let settings = if version == 1 { v1::settings(&resources) } else { v2::settings(&resources) };
    settings.unwrap().into_iter().map(|mut setting| setting.files.remove(0)).collect()
}

fn pair(file: &str, text: &str) -> (String, String) {
    (file.into(), text.into())
}

#[test]
fn shares_become_weights_through_both_ends_and_the_default() {
    for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (2048, 174), (262_144, 10_000)] {
        assert_eq!(v2::weight(shares), weight, "{shares}");
    }
}

#[test]
fn each_version_has_its_files() {
    let memory = r#"{"memory": {"limit": 100, "swap": 150, "reservation": 50, "kernel": 1}}"#;
    let second = [("memory.swap.max", "50"), ("memory.max", "100"), ("memory.low", "50")];
    assert_eq!(set(2, memory), second.map(|(file, text)| pair(file, text)));
    let first = [
        ("memory.limit_in_bytes", "100"),
        ("memory.memsw.limit_in_bytes", "150"),
        ("memory.soft_limit_in_bytes", "50"),
    ];
    assert_eq!(set(1, memory), first.map(|(file, text)| pair(file, text)));
    let cpu = r#"{"cpu": {"shares": 1024, "period": 1000, "cpus": "0-1", "idle": 0}}"#;
    let second =
        [("cpu.idle", "0"), ("cpu.weight", "100"), ("cpu.max", "max 1000"), ("cpuset.cpus", "0-1")];
    assert_eq!(set(2, cpu), second.map(|(file, text)| pair(file, text)));
    for (json, first, second) in [
        (r#"{"pids": {"limit": 0}}"#, ("pids.max", "1"), ("pids.max", "1")),
        (r#"{"pids": {"limit": -1}}"#, ("pids.max", "max"), ("pids.max", "max")),
        (r#"{"cpu": {"quota": -1}}"#, ("cpu.cfs_quota_us", "-1"), ("cpu.max", "max 100000")),
        (
            r#"{"blockIO": {"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}]}}"#,
            ("blkio.throttle.read_iops_device", "8:0 5"),
            ("io.max", "8:0 riops=5"),
        ),
        (r#"{"blockIO": {"weight": 500}}"#, ("blkio.weight", "500"), ("io.bfq.weight", "500")),
        (
            r#"{"rdma": {"mlx": {"hcaHandles": 3}}}"#,
            ("rdma.max", "mlx hca_handle=3"),
            ("rdma.max", "mlx hca_handle=3"),
        ),
    ] {
        assert_eq!(set(1, json), [pair(first.0, first.1)], "{json}");
        assert_eq!(set(2, json), [pair(second.0, second.1)], "{json}");
    }
    // Zero says nothing.
    assert_eq!(set(2, r#"{"memory": {"limit": 0}, "cpu": {"shares": 0, "quota": 0}}"#), []);
}

#[test]
fn wrong_resources_are_named() {
    for (json, words) in [
        (r#"{"memory": {"limit": -2}}"#, "linux.resources.memory.limit` is `-2`"),
        (r#"{"memory": {"limit": 5, "swap": 4}}"#, "linux.resources.memory.swap` is `4`"),
        (r#"{"memory": {"swap": 4}}"#, "without `memory.limit`"),
        (r#"{"cpu": {"cpus": "a"}}"#, "linux.resources.cpu.cpus` is `a`"),
        (r#"{"cpu": {"idle": 2}}"#, "linux.resources.cpu.idle` is `2`"),
        (r#"{"blockIO": {"weight": 9}}"#, "linux.resources.blockIO.weight` is `9`"),
        (
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}}"#,
            "blockIO.throttleReadBpsDevice[0].major` is `-1`",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "../2MB", "limit": 0}]}"#,
            "linux.resources.hugepageLimits[0].pageSize` is `../2MB`",
        ),
        (r#"{"unified": {"../memory.max": "1"}}"#, "linux.resources.unified` is"),
        (r#"{"unified": {"memory.max/x": "1"}}"#, "linux.resources.unified` is"),
        (r#"{"unified": {"none.max": "1"}}"#, "linux.resources.unified` is"),
        (r#"{"devices": [{"allow": true, "access": "x"}]}"#, "devices[0].access` is `x`"),
        (r#"{"devices": [{"allow": true, "type": "p"}]}"#, "devices[0].type` is `p`"),
    ] {
        let resources: Resources = serde_json::from_str(json).unwrap();
        let error = create(Hierarchy::V2("/none".into()), "x", &resources).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let json = r#"{"unified": {"memory.max": "1"}}"#;
    let resources: Resources = serde_json::from_str(json).unwrap();
    let error = create(Hierarchy::V1("/none".into()), "x", &resources).unwrap_err();
    assert!(error.to_string().contains("with control groups of version 1"), "{error}");
}
