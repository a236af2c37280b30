# The front door. Every recipe is a plain command that works without `just` as well.

# What can be done here
default:
    @just --list --unsorted

# What CI runs: every leg; installs nothing and leaves the working tree as it was
check:
    bash .ci/run --no-install

# Format the code
fmt:
    cargo fmt --all

# Clippy, warnings denied
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# All tests, or those whose name holds FILTER: `just test reassembly`
test *FILTER:
    cargo test --locked --workspace {{ FILTER }}

# The whole system in one process under SEEDS seeds from FROM on: crashes, partitions, lost disks, new members
sim SEEDS="200" FROM="0":
    WARDMESH_SIM_SEEDS={{ SEEDS }} WARDMESH_SIM_FROM={{ FROM }} cargo test --locked --workspace --test sim -- seeds --nocapture

# One seed of the simulation, bit for bit, every step printed
sim-seed SEED:
    WARDMESH_SIM_SEED={{ SEED }} cargo test --locked --workspace --test sim -- seeds --nocapture

# Real processes under faults for MINUTES, judged from outside; as root it may do more: `just nemesis 30 --seed 7`
nemesis MINUTES="3" *FLAGS:
    cargo test --locked --workspace --test nemesis -- {{ MINUTES }} {{ FLAGS }}

# Whether each of eight planted faults turns the harness red
planted *NAMES:
    cargo test --locked --workspace --features wardmesh-tests/planted-faults --test planted -- {{ NAMES }}

# The documentation of the crates, private items included
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Three nodes and three sites on this machine; Ctrl-C stops them and leaves nothing behind
demo *FLAGS:
    cargo run --locked --release --bin wardmesh -- demo {{ FLAGS }}

# What a sensor reads from the captures of ../shared/data, one JSON object a line
inspect-shared:
    find ../shared/data/pcaps -type f \( -name '*.pcap' -o -name '*.pcapng' -o -name '*.cap' -o -name '*.gz' \) -print0 | sort -z | \
        xargs -0 cargo run --locked --release --bin wardmesh-sensor -- inspect
