//! Engines run containers with creel as their runtime.

use std::fs;

use creel_testkit::busybox;

use crate::world::World;

/// Runs a script among the peers, in which `$RUNTIME` is creel by a name that makes it a runtime,
/// and `busybox` an OCI layout with an image. Returns the lines that it wrote to descriptor 3.
///
/// What engines leave running keeps the script's streams: they are a file, which is shown when the
/// script fails.
fn runs(script: &str) -> Vec<String> {
    let world = World::new();
    busybox::image().unwrap().write(&world.path("busybox"), "busybox").unwrap();
    fs::copy(env!("CARGO_BIN_EXE_creel"), world.path("creel-oci")).unwrap();
    fs::write(world.path("script"), script).unwrap();
    world.peers(
        "RUNTIME=$PWD/creel-oci timeout 120 sh -eux script 3>said >log 2>&1 </dev/null || \
         { echo failed >>said; }",
    );
    let read = |name| fs::read_to_string(world.path(name)).unwrap();
    let said: Vec<String> = read("said").lines().map(String::from).collect();
    assert!(said.last().is_none_or(|last| last != "failed"), "{said:?}\n{}", read("log"));
    said
}

#[test]
fn podman_runs_containers_on_creel() {
    let said = runs(
        r#"
        export PODMAN_IGNORE_CGROUPSV1_WARNING=1
        podman() {
            command podman --root "$PWD/podman" --runroot /run/podman --runtime "$RUNTIME" \
                --cgroup-manager cgroupfs "$@"
        }
        podman pull oci:busybox:busybox
        podman tag "$(podman images --quiet)" bb:1
        podman run --rm --network none bb:1 echo hello >&3
        code=0; podman run --rm --network none bb:1 sh -c 'exit 3' || code=$?; echo "code $code" >&3
        podman run --rm --tty --network none bb:1 sh -c 'test -t 0 && echo terminal' >&3
        podman run --rm --read-only --cap-drop all --tmpfs /scratch --memory 32m --pids-limit 20 \
            --network none bb:1 sh -c 'touch /scratch/x; grep CapEff /proc/self/status' >&3
        podman run --detach --name c --network none bb:1 sleep 1000
        podman exec --user 5 --workdir /bin --env X=y c sh -c 'echo "$(id -u) $PWD $X"' >&3
        podman pause c
        podman inspect --format '{{.State.Status}}' c >&3
        podman unpause c
        podman update --memory 64m c
        podman exec c cat /sys/fs/cgroup/memory/memory.limit_in_bytes >&3
        podman stop --time 0 c
        podman start c
        podman kill c
        podman wait c
        podman rm c
        echo "left: $("$RUNTIME" list --quiet)" >&3
        "#,
    );
    let capabilities = "CapEff:\t0000000000000000";
    let wanted = ["hello", "code 3", "terminal", capabilities, "5 /bin y", "paused", "67108864"];
    assert_eq!(said.iter().map(|line| line.trim_end()).collect::<Vec<_>>()[..7], wanted);
    assert_eq!(said.last().unwrap(), "left: ");
}

#[test]
fn containerd_runs_containers_on_creel() {
    let said = runs(
        r#"
        mkdir /run/containerd-test
        cat > config.toml <<CONFIG
version = 3
root = "$PWD/root"
state = "/run/containerd-test/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime"]
[grpc]
address = "/run/containerd-test/socket"
CONFIG
        containerd --config config.toml &
        ctr() { command ctr --address /run/containerd-test/socket "$@"; }
        for i in $(seq 100); do ctr version && break; sleep 0.1; done
        tar -C busybox -cf image.tar .
        ctr images import --local --snapshotter native --base-name localhost/bb image.tar
        run() { ctr run --snapshotter native --runc-binary "$RUNTIME" "$@"; }
        run --rm localhost/bb:busybox a echo hello >&3
        code=0; run --rm localhost/bb:busybox b sh -c 'exit 3' || code=$?; echo "code $code" >&3
        run --detach --memory-limit 67108864 localhost/bb:busybox c sleep 1000
        ctr task exec --exec-id e c sh -c 'echo "executed as $(id -u)"' >&3
        ctr task pause c
        ctr task ls | sed -n 's/^c .*\(PAUSED\)/\1/p' >&3
        ctr task resume c
        ctr task metrics c | grep -c memory >&3
        ctr task kill --signal KILL c
        for i in $(seq 100); do ctr task ls | grep -q STOPPED && break; sleep 0.1; done
        ctr task ls | sed -n 's/^c .*\(STOPPED\)/\1/p' >&3
        ctr task rm c || true
        ctr containers rm c
        "#,
    );
    assert_eq!(said[..4], ["hello", "code 3", "executed as 0", "PAUSED"]);
    assert_eq!(said[5..], ["STOPPED"]);
}

#[test]
fn docker_runs_containers_on_creel() {
    let said = runs(
        r#"
        mkdir /run/docker-test
        dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver vfs \
            --data-root "$PWD/data" --exec-root /run/docker-test/exec --pidfile /run/docker-test/pid \
            --host unix:///run/docker-test/socket --add-runtime creel="$RUNTIME" \
            --default-runtime creel &
        docker() { command docker --host unix:///run/docker-test/socket "$@"; }
        for i in $(seq 200); do docker version && break; sleep 0.1; done
        skopeo copy oci:busybox:busybox docker-archive:docker.tar:bb:1
        docker load --input docker.tar
        docker run --rm --network none bb:1 echo hello >&3
        code=0; docker run --rm --network none bb:1 sh -c 'exit 3' || code=$?; echo "code $code" >&3
        docker run --detach --name one --network none bb:1 sleep 1000
        docker exec one sh -c 'echo "executed as $(id -u)"' >&3
        docker exec --tty one sh -c 'test -t 1 && echo terminal' >&3
        docker pause one
        docker inspect --format '{{.State.Status}}' one >&3
        docker unpause one
        docker update --memory 64m --memory-swap 64m one
        docker exec one cat /sys/fs/cgroup/memory/memory.limit_in_bytes >&3
        docker stop --time 0 one
        docker start one
        docker kill one
        docker rm one
        docker run --rm --init --network none bb:1 sh -c 'echo "process $$"' >&3
        "#,
    );
    let said: Vec<_> = said.iter().map(|line| line.trim_end()).collect();
    assert_eq!(said[..6], ["hello", "code 3", "executed as 0", "terminal", "paused", "67108864"]);
    assert!(said[6].starts_with("process ") && said[6] != "process 1", "{said:?}");
}

#[test]
fn criu_checkpoints_and_restores_containers_of_creel() {
    let said = runs(
        r#"
        mkdir -p bundle/rootfs/bin
        cp /bin/busybox bundle/rootfs/bin
        for name in sh sleep cat head; do ln -s busybox bundle/rootfs/bin/$name; done
        cd bundle
        echo bound >bound
        "$RUNTIME" spec
        jq '.process.terminal = false | .linux.cgroupsPath = "/creel-test/criu"
            | .process.args = ["sh", "-c", "i=0; while true; do i=$((i+1)); echo $i >/tmp/n; sleep 0.01; done"]
            | .mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/bound", "source": "bound", "options": ["bind", "ro"]}]' \
            config.json >changed
        mv changed config.json
        "$RUNTIME" run --detach c </dev/null >/dev/null 2>&1
        sleep 0.5
        "$RUNTIME" checkpoint --leave-running --image-path images c
        "$RUNTIME" state c | jq -r .status >&3
        "$RUNTIME" checkpoint --image-path images c
        echo "left: $("$RUNTIME" list --quiet)" >&3
        "$RUNTIME" restore --detach --image-path images c </dev/null >/dev/null 2>&1
        first=$("$RUNTIME" exec c cat /tmp/n)
        sleep 0.3
        test "$first" -gt 10
        test "$("$RUNTIME" exec c cat /tmp/n)" -gt "$first"
        "$RUNTIME" exec c cat /bound >&3
        echo "masked: $("$RUNTIME" exec c head -c 1 /proc/keys)" >&3
        "$RUNTIME" exec c cat /sys/fs/cgroup/pids/cgroup.procs | head -n 1 >&3
        "$RUNTIME" pause c
        "$RUNTIME" resume c
        "$RUNTIME" delete --force c
        "#,
    );
    assert_eq!(said, ["running", "left: ", "bound", "masked: ", "1"]);
}
