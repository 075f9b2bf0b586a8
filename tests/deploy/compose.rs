//! `docker-compose.yml` as `docker compose` parses it, and the files that it mounts.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::servers::{Secrets, project_path};
use super::tools::{
    assert_pinned, assert_routed, document, output_of, settings, stop_seconds, string_map, strings, tool,
};

const NODES: [&str; 3] = ["laurel-a", "laurel-b", "laurel-c"];

fn compose() -> Value {
    compose_with(&[])
}

fn compose_with(environment: &[(&str, &str)]) -> Value {
    let mut command = tool("docker-compose");
    let command = command.env_remove("BIND_ADDRESS").envs(environment.iter().copied());
    serde_json::from_str(&output_of(command.args(["config", "--format", "json"]))).unwrap()
}

#[test]
fn every_container_is_pinned_and_hardened() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_pinned(service["image"].as_str().unwrap());
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(strings(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        for grant in ["privileged", "cap_add", "devices", "pid", "network_mode"] {
            assert!(service.get(grant).is_none(), "{name} has {grant}");
        }
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(
            limits["memory"].is_string() && limits["cpus"].is_number() && limits["pids"].is_number(),
            "{name}"
        );
        // The balancer checks the nodes. The image of the collector has no program for a check.
        let needs_no_check = NODES.contains(&name.as_str()) || name == "collector";
        assert!(needs_no_check != service["healthcheck"].is_object(), "{name}");
        let outside = service["networks"].get("outside").is_some();
        assert_eq!(
            outside,
            service["ports"].is_array(),
            "{name}: only services with a published port reach the outside network"
        );
        for mount in
            service["volumes"].as_array().into_iter().flatten().filter(|mount| mount["type"] == "bind")
        {
            let source = mount["source"].as_str().unwrap();
            assert!(std::path::Path::new(source).exists() && mount["read_only"] == true, "{name}: {source}");
        }
    }
    for network in ["edge", "stores", "watch"] {
        assert_eq!(compose["networks"][network]["internal"], true, "{network}");
    }
}

/// The published ports: service, port in the container, address on the host.
fn published(compose: &Value) -> Vec<(&str, u64, &str)> {
    let services = compose["services"].as_object().unwrap().iter();
    let ports = services.flat_map(|(name, service)| {
        service["ports"].as_array().into_iter().flatten().map(move |port| (name, port))
    });
    let number = |port: &'_ Value| port["target"].as_u64().unwrap();
    ports.map(|(name, port)| (name.as_str(), number(port), port["host_ip"].as_str().unwrap())).collect()
}

#[test]
fn ports_are_published_on_loopback_by_default() {
    let compose = compose();
    let all = published(&compose);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|it| it.2 == "127.0.0.1"), "{all:?}");
    for address in ["0.0.0.0", "192.0.2.1"] {
        let open = compose_with(&[("BIND_ADDRESS", address)]);
        let public: Vec<_> = published(&open).into_iter().filter(|it| it.2 != "127.0.0.1").collect();
        assert_eq!(public, [("haproxy", 8080, address)]);
    }
}

#[test]
fn compose_settings_are_known_and_secrets_are_created() {
    let compose = compose();
    let secrets = Secrets::create();
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        assert!(secrets.path(name).exists(), "secrets.sh does not create {name}");
        assert!(secret["file"].as_str().unwrap().ends_with(&format!("deploy/compose/secrets/{name}")));
    }
    let mut names = BTreeSet::new();
    for node in NODES {
        let service = &compose["services"][node];
        let config = settings(&string_map(&service["environment"]));
        assert_eq!(format!("laurel-{}", config.live.node_name), node);
        names.insert(config.live.node_name.clone());
        let grace = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s');
        assert!(grace.parse::<u64>().unwrap() >= stop_seconds(&config));
        let edge = compose["networks"]["edge"]["ipam"]["config"][0]["subnet"].as_str().unwrap();
        assert_eq!(config.server.trusted_proxies, [edge], "the nodes trust the balancer");
        assert_eq!(config.server.admin_listen, "0.0.0.0:9090", "players cannot reach the admin listener");
        let endpoint =
            document("deploy/compose/collector.yml")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
                .clone();
        let port = endpoint.as_str().unwrap().rsplit(':').next().unwrap();
        assert_eq!(config.traces.endpoint, format!("http://collector:{port}"));
    }
    assert_eq!(names.len(), NODES.len(), "session ids start with the name of the node");
}

/// The pipeline uses only components that the file declares.
#[test]
fn the_collector_pipeline_is_complete() {
    let collector = document("deploy/compose/collector.yml");
    let pipeline = collector["service"]["pipelines"]["traces"].as_object().unwrap();
    assert_eq!(pipeline.len(), 3);
    for (kind, parts) in pipeline {
        let declared: Vec<&String> = collector[kind].as_object().unwrap().keys().collect();
        assert_eq!(
            BTreeSet::from_iter(strings(parts)),
            declared.iter().map(|name| name.as_str()).collect(),
            "{kind}"
        );
    }
}

#[test]
fn prometheus_scrapes_the_nodes_of_compose() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("compose/prometheus.yml", "prometheus.yml"), ("prometheus/rules.yml", "rules.yml")]
    {
        std::fs::copy(project_path("deploy").join(file), folder.path().join(name)).unwrap();
    }
    output_of(Command::new("promtool").args(["check", "config"]).arg(folder.path().join("prometheus.yml")));
    let job = &document("deploy/compose/prometheus.yml")["scrape_configs"][0];
    assert_eq!(job["job_name"], "laurel");
    let nodes = NODES.map(|node| format!("{node}:9090"));
    assert_eq!(strings(&job["static_configs"][0]["targets"]), nodes);
    assert_routed("/metrics");
    // Grafana reads from the Prometheus of this network.
    let source = document("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(source["datasources"][0]["url"], "http://prometheus:9090");
}
