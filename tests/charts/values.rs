//! The values that the charts are rendered with.

use kindmesh::domain::istio::{ChartValues, GatewayKind, Member, chart_values};
use serde_json::{Value, json};

/// Values for the charts, and what they are about.
pub struct Case {
    /// What they are about.
    pub name: &'static str,
    /// For `base`.
    pub base: Value,
    /// For `istiod`.
    pub istiod: Value,
    /// For `gateway`.
    pub gateway: Value,
}

fn case(name: &'static str, base: Value, istiod: Value, gateway: Value) -> Case {
    Case { name, base, istiod, gateway }
}

fn global(cluster: &str) -> Value {
    json!({
        "hub": "docker.io/istio", "tag": "1.31.1", "imagePullPolicy": "IfNotPresent", "meshID": "mesh1",
        "network": format!("network-{cluster}"), "multiCluster": { "clusterName": cluster },
    })
}

/// What a member of a mesh is installed with, on images that need `knobs`.
fn of_a_member(knobs: &Value) -> ChartValues {
    let member = Member {
        cluster: "east".into(),
        network: "network-east".into(),
        mesh_id: "mesh1".into(),
        hub: "docker.io/istio".into(),
        tag: "1.31.1".into(),
        ingress: true,
        egress: true,
    };
    chart_values(&member, knobs, &json!({ "meshConfig": { "accessLogFile": "/dev/stdout" } })).unwrap()
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let none = || json!({});
    let member = of_a_member(&Value::Null);
    let knobs = json!({
        "telemetry": { "enabled": false }, "meshConfig": { "enablePrometheusMerge": false },
        "env": { "PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_DISABLE_MX_ALPN": "true" },
    });
    let offline = of_a_member(&knobs);
    vec![
        case(
            "a member, its east-west gateway",
            member.base.clone(),
            member.istiod.clone(),
            member.gateways[&GatewayKind::EastWest].clone(),
        ),
        case("a member on offline images, its ingress gateway", none(), offline.istiod, offline.gateways[&GatewayKind::Ingress].clone()),
        case("a member's egress gateway", none(), none(), member.gateways[&GatewayKind::Egress].clone()),
        case("defaults", none(), none(), none()),
        case(
            "multi-primary",
            json!({ "global": global("cluster1") }),
            json!({ "global": global("cluster1") }),
            json!({ "global": global("cluster1"), "name": "istio-eastwestgateway", "networkGateway": "network-cluster1" }),
        ),
        case(
            "small requests",
            none(),
            json!({
                "resources": { "requests": { "cpu": "50m", "memory": "128Mi" }, "limits": { "cpu": null } },
                "global": { "proxy": { "resources": { "requests": { "cpu": "10m" }, "limits": null } } },
            }),
            json!({ "resources": { "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "cpu": null, "memory": null } } }),
        ),
        case(
            "scaled, with budgets",
            none(),
            json!({
                "autoscaleEnabled": true, "autoscaleMin": 2, "autoscaleMax": 7, "memory": { "targetAverageUtilization": 75 },
                "autoscaleBehavior": { "scaleDown": { "stabilizationWindowSeconds": 300, "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }] } },
                "pdb": { "maxUnavailable": "50%", "unhealthyPodEvictionPolicy": "AlwaysAllow" },
            }),
            json!({
                "autoscaling": {
                    "minReplicas": 2, "maxReplicas": 9, "targetCPUUtilizationPercentage": 60, "targetMemoryUtilizationPercentage": 70,
                    "autoscaleBehavior": { "scaleUp": { "selectPolicy": "Max" } },
                },
                "podDisruptionBudget": { "minAvailable": 1 },
            }),
        ),
        case(
            "not scaled",
            none(),
            json!({ "autoscaleEnabled": false, "replicaCount": 3 }),
            json!({ "autoscaling": { "enabled": false }, "replicaCount": 2, "podDisruptionBudget": { "maxUnavailable": 1 } }),
        ),
        case(
            "stock proxies: no telemetry",
            none(),
            json!({
                "telemetry": { "enabled": false }, "meshConfig": { "enablePrometheusMerge": false },
                "env": { "PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_DISABLE_MX_ALPN": true, "LIMIT": 1_000_000, "RATE": 0.5 },
            }),
            json!({ "env": { "A": "b", "NUMBER": 15021, "LARGE": 12_345_678, "FLAG": true } }),
        ),
        case(
            "a mesh configuration of one's own",
            none(),
            json!({
                "meshConfig": {
                    "accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "rootNamespace": "mesh-root", "trustDomain": "example.org",
                    "accessLogFormat": "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS%\n",
                    "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" }, "enableTracing": true, "ingressClass": "on", "ingressService": "",
                    "localityLbSetting": { "enabled": true, "failover": [{ "from": "region1", "to": "region2" }, { "from": "0x10", "to": "1:30" }] },
                    "extensionProviders": [
                        { "name": "otel", "opentelemetry": { "port": 4317, "service": "opentelemetry-collector.observability.svc.cluster.local" } },
                        { "name": "- odd: name #1", "zipkin": { "service": "zipkin.tracing", "port": 9411, "maxTagLength": 56 } },
                    ],
                    "defaultConfig": {
                        "holdApplicationUntilProxyStarts": true, "concurrency": 2, "drainDuration": "45s", "tracing": { "sampling": 12.5 },
                        "proxyMetadata": {
                            "ISTIO_META_DNS_CAPTURE": "true", "EMPTY": "", "NULLISH": "null", "TILDE": "~", "DATE": "2020-01-01", "NUMBER": "123", "EXPONENT": "1e3",
                            "LONG": "a text that is much longer than eighty letters and goes on and on until it has to be continued on the next line of the file",
                            "LONG_QUOTED": "'a text' that is: much longer than eighty letters and goes on and on # until it has to be continued on the next line",
                            "TAB": "a\tb", "UMLAUT": "äöü €", "QUOTE": "it's \"quoted\"", "BACKSLASH": "a\\b", "LINES": "one\n  two\n\nthree", "TRAILING": "blank ", "KEY": "- x",
                        },
                        "a10": 1, "a9": 2, "a_b": 3, "a-b": 4, "aB": 5, "10": 6, "9": 7,
                    },
                    "serviceSettings": [{ "settings": { "clusterLocal": true }, "hosts": ["*.mysvc.svc.cluster.local", "!x", "&y", "%z", "@a", "`b`"] }],
                    "defaultProviders": { "metrics": [], "tracing": ["otel"] },
                },
            }),
            none(),
        ),
        case(
            "tracers and networks",
            none(),
            json!({
                "global": {
                    "proxy": { "tracer": "zipkin", "componentLogLevel": "misc:error", "logLevel": "debug" }, "logAsJson": true, "logging": { "level": "all:debug" },
                    "meshNetworks": { "network1": { "endpoints": [{ "fromRegistry": "cluster1" }], "gateways": [{ "address": "1.1.1.1", "port": 15443 }] } },
                    "imagePullSecrets": ["one", "two"], "priorityClassName": "system-cluster-critical", "istiod": { "enableAnalysis": true },
                },
                "traceSampling": 0.1,
            }),
            json!({ "imagePullSecrets": [{ "name": "one" }], "global": { "imagePullPolicy": "Always" } }),
        ),
        case(
            "gateways with everything",
            none(),
            none(),
            json!({
                "service": {
                    "type": "NodePort", "loadBalancerIP": "10.0.0.1", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
                    "annotations": { "metallb.io/address-pool": "pool", "number": "1" }, "loadBalancerSourceRanges": ["10.0.0.0/8"],
                    "ports": [{ "name": "http", "port": 8080, "targetPort": 80, "protocol": "TCP", "nodePort": 30080 }, { "name": "udp", "port": 53, "protocol": "UDP" }],
                    "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack", "externalIPs": ["1.2.3.4"], "selectorLabels": { "x": "y" },
                },
                "labels": { "app": "my-gateway", "istio": "mine", "extra": "label" }, "annotations": { "a": "b" }, "podAnnotations": { "c": "d" },
                "serviceAccount": { "name": "mine", "annotations": { "e": "f" } },
                "nodeSelector": { "kubernetes.io/os": "linux" }, "tolerations": [{ "key": "a", "operator": "Exists" }, { "effect": "NoSchedule", "tolerationSeconds": 30 }],
                "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "x", "operator": "In", "values": ["1", "y"] }] }] } } },
                "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" }],
                "volumes": [{ "name": "v", "emptyDir": {} }], "volumeMounts": [{ "name": "v", "mountPath": "/v" }], "strategy": { "rollingUpdate": { "maxSurge": 1 } },
                "securityContext": { "runAsUser": 1337 }, "containerSecurityContext": { "runAsNonRoot": true }, "terminationGracePeriodSeconds": 60,
                "readinessProbe": { "httpGet": { "path": "/healthz/ready", "port": 15021 } }, "priorityClassName": "high", "minReadySeconds": 5,
                "envVarFrom": [{ "name": "N", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }], "additionalContainers": [{ "name": "side", "image": "x" }],
            }),
        ),
        case(
            "a revision, with tags",
            json!({ "defaultRevision": "canary" }),
            json!({ "revision": "canary", "revisionTags": ["prod", "default"], "sidecarInjectorWebhook": { "enableNamespacesByDefault": true } }),
            json!({ "revision": "canary" }),
        ),
        case("ambient", json!({ "profile": "ambient" }), json!({ "profile": "ambient" }), json!({ "profile": "ambient" })),
        case(
            "demo, an older behaviour, a platform",
            json!({ "profile": "demo", "global": { "platform": "k3d" } }),
            json!({ "profile": "demo", "compatibilityVersion": "1.29", "global": { "platform": "openshift" } }),
            json!({ "profile": "demo", "compatibilityVersion": "1.29", "platform": "openshift" }),
        ),
        case(
            "native sidecars, under the old name",
            none(),
            json!({ "pilot": { "env": { "ENABLE_NATIVE_SIDECARS": "true", "PILOT_ENABLE_IP_AUTOALLOCATE": true }, "resources": { "requests": { "cpu": "1", "memory": "1Gi" } }, "cni": { "enabled": true } } }),
            none(),
        ),
        case(
            "control plane with everything",
            json!({ "experimental": { "stableValidationPolicy": true }, "base": { "validationURL": "https://example.org/validate", "validationCABundle": "QUJD" } }),
            json!({
                "tolerations": [{ "key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule" }],
                "nodeSelector": { "kubernetes.io/os": "linux", "true": "yes" }, "podAnnotations": { "a": "1", "b": "x: y" }, "podLabels": { "l": "m" },
                "deploymentLabels": { "d": "e" }, "deploymentAnnotations": { "f": "g" }, "serviceAnnotations": { "h": "i" }, "serviceAccountAnnotations": { "j": "k" },
                "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "podAffinityTerm": { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "istiod" } } } }] } },
                "volumes": [{ "name": "v", "configMap": { "name": "c", "optional": true } }], "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
                "extraContainerArgs": ["--x", "--y=1"], "seccompProfile": { "type": "RuntimeDefault" }, "jwksResolverExtraRootCA": "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
                "taint": { "enabled": true, "namespace": "kube-system" }, "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"], "trustedZtunnelNamespace": "zt",
                "initContainers": [{ "name": "init", "image": "{{ .Values.global.hub }}/x:{{ .Values.global.tag }}", "command": ["sh", "-c", "echo '{{ .Release.Name }}'"] }],
                "global": { "networkPolicy": { "enabled": true }, "defaultPodDisruptionBudget": { "enabled": false }, "certSigners": ["clusterissuers.cert-manager.io/x"], "trustBundleName": "bundle" },
                "experimental": { "stableValidationPolicy": true }, "gatewayClasses": { "istio": { "service": { "spec": { "type": "ClusterIP" } }, "deployment": { "spec": { "replicas": 2 } } } },
                "sidecarInjectorWebhook": {
                    "neverInjectSelector": [{ "matchExpressions": [{ "key": "a", "operator": "Exists" }] }], "injectedAnnotations": { "x/y": "1" }, "defaultTemplates": ["sidecar", "mine"],
                    "templates": { "mine": "spec:\n  containers:\n  - name: istio-proxy\n    env:\n    - name: A\n      value: '{{ .Values.b }}'\n", "gateway": "spec: {}\n" },
                },
            }),
            json!({ "global": { "networkPolicy": { "enabled": true } }, "kind": "DaemonSet", "autoscaling": { "enabled": false } }),
        ),
        case(
            "remote control plane",
            json!({ "global": { "resourceScope": "cluster" } }),
            json!({ "profile": "remote", "global": { "remotePilotAddress": "10.1.2.3", "configCluster": true }, "istiodRemote": { "injectionPath": "/inject/cluster/a/net/b" } }),
            json!({ "rbac": { "enabled": false }, "serviceAccount": { "create": false } }),
        ),
        case(
            "values taken out",
            json!({ "base": { "excludedCRDs": ["wasmplugins.extensions.istio.io"] }, "global": { "enableReaderRBAC": false } }),
            json!({ "resources": null, "affinity": null, "global": { "imagePullSecrets": null }, "configMap": false }),
            json!({ "replicaCount": null, "minReadySeconds": null, "securityContext": null, "readinessProbe": null, "resources": { "limits": null } }),
        ),
        case(
            "refused: values that must be there",
            json!({ "global": { "imagePullSecrets": 5 } }),
            json!({ "env": null }),
            json!({ "labels": null, "podAnnotations": null }),
        ),
        case(
            "refused: what the schema does not know",
            json!({ "profile": "none" }),
            json!({ "revisionTags": 5 }),
            json!({ "replicas": 3, "kind": "Pod", "service": { "ports": [{ "port": "80" }] } }),
        ),
        case(
            "refused: a profile nobody knows",
            json!({ "profile": "nonsense" }),
            json!({ "global": { "platform": "nonsense" } }),
            json!({ "compatibilityVersion": "1.1" }),
        ),
        case(
            "refused: settings that are gone",
            json!({ "defaults": { "global": {} } }),
            json!({ "global": { "pilotCertProvider": "kubernetes" } }),
            json!({ "networkGateway": "n", "networkGatewayPorts": { "tls": null } }),
        ),
        case(
            "refused: wrong kinds",
            json!({ "global": "text" }),
            json!({ "telemetry": { "v2": { "stackdriver": { "configOverride": { "a": "b" } } } }, "meshConfig": { "defaultConfig": { "tracing": { "stackdriver": { "debug": true } } } } }),
            json!({ "service": { "ports": [] } }),
        ),
    ]
}
