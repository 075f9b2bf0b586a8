//! The Kubernetes manifests as kustomize builds them.

use std::process::Command;

use serde_json::{Value, json};

use super::servers::project_path;
use super::tools::{
    assert_pinned, assert_routed, document, documents, output_of, settings, stop_seconds, string_map,
    strings, tool,
};
use crate::harness::TestStores;
use crate::http::query_parameters::paths;

/// The oldest supported and the newest tested Kubernetes version.
const VERSIONS: [&str; 2] = ["1.32", "1.37"];

fn manifests() -> String {
    output_of(Command::new("kubectl").args(["kustomize", "deploy/kubernetes"]).current_dir(project_path("")))
}

fn manifest(kind: &str, name: &str) -> Value {
    let found = documents(&manifests())
        .into_iter()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

#[test]
fn every_manifest_matches_the_kubernetes_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, manifests()).unwrap();
    for version in VERSIONS {
        let output = output_of(tool("kubernetes-validate").args(["--strict", "-k", version]).arg(&path));
        assert_eq!(
            output.matches(" passed for resource ").count(),
            documents(&manifests()).len(),
            "{output}"
        );
    }
    for document in documents(&manifests()) {
        let namespace = if document["kind"] == "Namespace" { Value::Null } else { json!("laurel") };
        assert_eq!(document["metadata"]["namespace"], namespace);
        assert_ne!(document["kind"], "Secret", "the manifests contain no secrets");
    }
}

#[test]
fn pods_are_restricted_and_their_settings_known() {
    let deployment = manifest("Deployment", "laurel");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false, "LAUREL_PORT of a service link is no setting");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_pinned(container["image"].as_str().unwrap());
    assert!(
        include_str!("../../deploy/Dockerfile")
            .contains(&format!("USER {}:", pod["securityContext"]["runAsUser"]))
    );
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"]);

    let mut environment = string_map(&manifest("ConfigMap", "laurel")["data"]);
    let mount = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    for variable in container["env"].as_array().unwrap() {
        let value = variable["value"].as_str().unwrap_or("laurel-7d4b9c-x2x4z");
        assert!(variable["value"].is_null() || value.starts_with(mount), "{variable}");
        environment.insert(variable["name"].as_str().unwrap().to_owned(), value.to_owned());
    }
    let config = settings(&environment);
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= stop_seconds(&config));
}

#[test]
fn probes_and_ports_match_a_node() {
    let deployment = manifest("Deployment", "laurel");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports =
        json!([{ "name": "http", "containerPort": 3000 }, { "name": "admin", "containerPort": 9090 }]);
    assert_eq!(container["ports"], ports);
    let admin = &manifest("ConfigMap", "laurel")["data"]["LAUREL_SERVER__ADMIN_LISTEN"];
    assert_eq!(admin, "0.0.0.0:9090");
    // The balancer reaches the port of players, Prometheus the port of metrics.
    let rules = manifest("NetworkPolicy", "laurel")["spec"]["ingress"].clone();
    let admitted = rules.as_array().unwrap().iter().map(|rule| {
        let from = &rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        assert_eq!((rule["from"].as_array().unwrap().len(), rule["ports"].as_array().unwrap().len()), (1, 1));
        (from.as_str().unwrap(), rule["ports"][0]["port"].as_str().unwrap())
    });
    assert_eq!(admitted.collect::<Vec<_>>(), [("haproxy-controller", "http"), ("monitoring", "admin")]);
    for (probe, path) in
        [("startupProbe", "/readyz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "admin" }));
        assert_routed(path);
    }
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels);
    for service in ["laurel", "laurel-polling"] {
        let (service, ingress) = (manifest("Service", service), manifest("Ingress", service));
        assert_eq!(service["spec"]["selector"], *labels);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
        let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        assert_eq!(backend["name"], service["metadata"]["name"]);
        assert_eq!(backend["port"]["name"], service["spec"]["ports"][0]["name"]);
        assert_routed(ingress["metadata"]["annotations"]["haproxy.org/check-http"].as_str().unwrap());
    }
    for (kind, selector) in [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")] {
        assert_eq!(manifest(kind, "laurel")["spec"][selector]["matchLabels"], *labels, "{kind}");
    }
}

/// The Ingress has all routes of players and no others.
#[tokio::test]
async fn the_ingress_has_the_routes_of_players_only() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let rules = ["laurel", "laurel-polling"]
        .map(|name| manifest("Ingress", name)["spec"]["rules"][0]["http"].clone());
    let is_served = |path: &str| {
        rules.iter().flat_map(|rule| rule["paths"].as_array().unwrap()).any(|route| {
            let prefix = route["path"].as_str().unwrap();
            let rest = path.strip_prefix(prefix);
            match route["pathType"].as_str().unwrap() {
                "Exact" => rest == Some(""),
                _ => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            }
        })
    };
    let internal = ["/healthz", "/readyz", "/metrics", "/admin", "/api/admin"];
    let mut counts = [0, 0];
    for (_, path) in paths(&laurel::http::router(node.app.clone())) {
        let is_internal =
            internal.iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}/")));
        assert_eq!(is_served(&path), !is_internal, "{path}");
        counts[usize::from(is_internal)] += 1;
    }
    assert!(counts[0] > 15 && counts[1] > 15, "{counts:?}");
}

/// The labels of the scrape target that Prometheus derives from the port of a pod, with the shipped configuration. Empty if it drops the port.
fn scrape_labels(port: &Value, labels: &Value) -> Value {
    let mut config = document("deploy/kubernetes/prometheus.yml");
    let job = config["scrape_configs"][0].as_object_mut().unwrap();
    let found = job.remove("kubernetes_sd_configs").unwrap();
    assert_eq!(found, json!([{ "role": "pod", "namespaces": { "names": ["laurel"] } }]));
    let mut meta = json!({
        "__meta_kubernetes_namespace": "laurel",
        "__meta_kubernetes_pod_name": "laurel-7d4b9c-x2x4z",
        "__meta_kubernetes_pod_container_port_name": port["name"],
    });
    for (name, value) in labels.as_object().unwrap() {
        meta[format!("__meta_kubernetes_pod_label_{name}")] = value.clone();
    }
    let target = format!("10.1.2.3:{}", port["containerPort"]);
    job.insert("static_configs".into(), json!([{ "targets": [target], "labels": meta }]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prometheus.yml");
    std::fs::copy(project_path("deploy/prometheus/rules.yml"), folder.path().join("rules.yml")).unwrap();
    std::fs::write(&path, config.to_string()).unwrap();
    output_of(Command::new("promtool").args(["check", "config"]).arg(&path));
    let output =
        output_of(Command::new("promtool").args(["check", "service-discovery"]).arg(&path).arg("laurel"));
    serde_json::from_str::<Value>(&output).unwrap()[0]["labels"].clone()
}

/// All alerts select series by `job`, so every scrape configuration must set it.
#[test]
fn pods_are_scraped_under_the_job_of_the_alerts() {
    let template = &manifest("Deployment", "laurel")["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    let rules = include_str!("../../deploy/prometheus/rules.yml");
    let job = rules.split("up{job=\"").nth(1).unwrap().split('"').next().unwrap();
    for port in template["spec"]["containers"][0]["ports"].as_array().unwrap() {
        let labels = scrape_labels(port, labels);
        if port["name"] == "admin" {
            let found =
                ["job", "namespace", "pod", "instance", "__metrics_path__"].map(|name| labels[name].as_str());
            let expected = [job, "laurel", "laurel-7d4b9c-x2x4z", "10.1.2.3:9090", "/metrics"];
            assert_eq!(found, expected.map(Some));
        } else {
            assert_eq!(labels, json!({}), "{port}");
        }
    }
    assert_eq!(
        scrape_labels(&json!({ "name": "admin", "containerPort": 1 }), &json!({ "app": "other" })),
        json!({})
    );

    let monitor = document("deploy/kubernetes/podmonitor.yaml");
    let spec = &monitor["spec"];
    assert_eq!(labels[spec["jobLabel"].as_str().unwrap()], job);
    assert_eq!(spec["selector"]["matchLabels"], *labels);
    assert_eq!(
        (&spec["podMetricsEndpoints"][0]["port"], &monitor["metadata"]["namespace"]),
        (&json!("admin"), &json!("laurel"))
    );
    assert_eq!(template["metadata"]["annotations"], Value::Null, "annotations would add a second job");
    assert_routed("/metrics");
}

#[test]
fn the_autoscaler_uses_existing_metrics_and_fits_postgres() {
    let autoscaler = &manifest("HorizontalPodAutoscaler", "laurel")["spec"];
    let metrics = autoscaler["metrics"].as_array().unwrap();
    let metric = |kind: &str| metrics.iter().find(|metric| metric["type"] == kind).unwrap();
    assert_eq!(metric("Resource")["resource"]["name"], "cpu");
    let sockets = metric("Pods")["pods"]["metric"]["name"].as_str().unwrap();
    assert!(include_str!("../../src/metrics.rs").contains(&format!("= \"{sockets}\"")));
    let rule = &document("deploy/kubernetes/metrics-adapter.yml")["rules"][0];
    assert_eq!(rule["name"]["as"], sockets);
    assert!(rule["seriesQuery"].as_str().unwrap().starts_with(&format!("{sockets}{{")));

    let role = include_str!("../../deploy/postgres/role.sql");
    let limit = role.split("CONNECTION LIMIT ").nth(1).unwrap().split(' ').next().unwrap();
    // The pool, the connection of the leader, and a connection that waits for the leader lock.
    let per_node = u64::from(laurel::config::load([]).unwrap().postgres.max_connections) + 2;
    let max_nodes = autoscaler["maxReplicas"].as_u64().unwrap() + 1;
    assert!(
        max_nodes * per_node <= limit.parse().unwrap(),
        "{max_nodes} nodes with {per_node} connections exceed {limit}"
    );
}
