# shellcheck shell=bash disable=SC2154
# The steps of scripts/mesh-by-hand, each for one cluster by its number. Source it after lib.sh; the caller sets count,
# prefix, network, image, work and the programs.

# Longest time for anything that is waited for.
patience=240s

k() {
  local index=$1
  shift
  "$kubectl" --kubeconfig "$work/config$index" "$@"
}

apply() {
  local index=$1
  shift
  k "$index" apply --server-side "$@"
}

# helm_apply INDEX RELEASE CHART FLAG...: what helm makes of a chart.
helm_apply() {
  local index=$1 release=$2 chart=$3
  shift 3
  "$helm" template "$release" "$work/mesh/charts/$chart.tgz" --namespace istio-system "$@" >"$work/$release$index.yaml"
  apply "$index" --namespace istio-system -f "$work/$release$index.yaml"
}

# value KEY: of the node image's description of its mesh.
value() { jq -er "$1" "$work/mesh/mesh.json"; }

# === clusters and their addresses ===

create_cluster() { "$kind" create cluster --name "$prefix$1" --image "$image" --kubeconfig "$work/config$1"; }

# The last addresses of the network, 25 for each cluster.
pool() {
  local subnet base last a b c d
  subnet=$(docker network inspect "$network" | jq -er '.[0].IPAM.Config[].Subnet | select(contains("."))' | head -n 1)
  IFS=. read -r a b c d <<<"${subnet%/*}"
  base=$(((a << 24) + (b << 16) + (c << 8) + d))
  last=$((base + (1 << (32 - ${subnet#*/})) - 2 - 25 * ($1 - 1)))
  echo "$(address $((last - 24)))-$(address $last)"
}

address() { echo "$(($1 >> 24 & 255)).$(($1 >> 16 & 255)).$(($1 >> 8 & 255)).$(($1 & 255))"; }

install_metallb() {
  apply "$1" -f "$repo/manifests/metallb"
  k "$1" wait --for=condition=Established --timeout=$patience crd/ipaddresspools.metallb.io crd/l2advertisements.metallb.io
  apply "$1" -f - <<END
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pool, namespace: metallb-system}
spec: {addresses: ["$(cat "$work/pool$1")"]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: pool, namespace: metallb-system}
spec: {ipAddressPools: [pool]}
END
}

come_to_rest() {
  k "$1" wait --for=condition=Ready --timeout=$patience node --all
  k "$1" wait --for=condition=Available --timeout=$patience --all-namespaces deployment --all
  k "$1" wait --for=condition=Ready --timeout=$patience --all-namespaces pod --all
}

# === certificates ===

# make_ca: a root, and an intermediate for each cluster that may sign for workloads alone.
make_ca() {
  local index ca=$work/ca
  mkdir "$ca"
  {
    key "$ca/root.key"
    extensions "CA:true" | grep -v authority >"$ca/root.ext"
    extensions "CA:true,pathlen:0" >"$ca/intermediate.ext"
    openssl req -new -key "$ca/root.key" -subj "/O=by hand/CN=root" |
      openssl x509 -req -signkey "$ca/root.key" -days 3650 -extfile "$ca/root.ext" -out "$ca/root.pem"
    for index in $(members); do
      key "$ca/$index.key"
      openssl req -new -key "$ca/$index.key" -subj "/O=by hand/CN=intermediate/L=$prefix$index" |
        openssl x509 -req -CA "$ca/root.pem" -CAkey "$ca/root.key" -CAcreateserial -days 730 -extfile "$ca/intermediate.ext" -out "$ca/$index.pem"
      cat "$ca/$index.pem" "$ca/root.pem" >"$ca/$index.chain"
    done
  } 2>>"$work/log-openssl"
}

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

extensions() {
  printf '%s\n' "basicConstraints=critical,$1" keyUsage=critical,keyCertSign,cRLSign subjectKeyIdentifier=hash authorityKeyIdentifier=keyid
}

# === Istio ===

install_mesh() {
  local index=$1 name=$prefix$1 ca=$work/ca pids=() pid
  apply "$index" -f - <<END
apiVersion: v1
kind: Namespace
metadata: {name: istio-system, labels: {topology.istio.io/network: network-$name}}
END
  k "$index" --namespace istio-system create secret generic cacerts --from-file=ca-cert.pem="$ca/$index.pem" \
    --from-file=ca-key.pem="$ca/$index.key" --from-file=root-cert.pem="$ca/root.pem" --from-file=cert-chain.pem="$ca/$index.chain"
  istio_values "$name" >"$work/values$index.yaml"
  helm_apply "$index" istio-base base --values "$work/values$index.yaml" --values "$work/mesh/values.yaml"
  helm_apply "$index" istiod istiod --values "$work/values$index.yaml" --values "$work/mesh/values.yaml"
  k "$index" --namespace istio-system rollout status deployment/istiod --timeout=$patience
  # istiod writes its certificate into all four of the injector's webhooks: pods may be made from then on.
  k "$index" wait --for='jsonpath={.webhooks[3].clientConfig.caBundle}' --timeout=$patience mutatingwebhookconfiguration/istio-sidecar-injector
  gateways "$index" &
  pids+=($!)
  sample "$index" &
  pids+=($!)
  for pid in "${pids[@]}"; do wait "$pid"; done
}

# The values that kindmesh gives: identity, and requests for a small machine.
istio_values() {
  cat <<END
global:
  hub: $(value .hub)
  tag: $(value .tag)
  imagePullPolicy: IfNotPresent
  meshID: mesh1
  network: network-$1
  multiCluster: {clusterName: $1}
  proxy: {resources: {requests: {cpu: 10m, memory: 40Mi}}}
resources: {requests: {cpu: 50m, memory: 128Mi}}
autoscaleEnabled: false
END
}

gateways() {
  local index=$1 name
  local common=(--set imagePullPolicy=IfNotPresent --set autoscaling.enabled=false --set resources.requests.cpu=10m --set resources.requests.memory=40Mi)
  helm_apply "$index" istio-eastwestgateway gateway "${common[@]}" --set networkGateway="network-$prefix$index"
  helm_apply "$index" istio-ingressgateway gateway "${common[@]}"
  apply "$index" -f - <<END
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - port: {number: 15443, name: tls, protocol: TLS}
    tls: {mode: AUTO_PASSTHROUGH}
    hosts: ["*.local"]
END
  for name in istio-eastwestgateway istio-ingressgateway; do
    k "$index" --namespace istio-system rollout status "deployment/$name" --timeout=$patience
    k "$index" --namespace istio-system wait --for='jsonpath={.status.loadBalancer.ingress[0].ip}' --timeout=$patience "service/$name"
  done
}

# v1 in the odd clusters, v2 in the even ones, a client in each.
sample() {
  local index=$1 version=v$((2 - $1 % 2))
  apply "$index" -f - <<END
apiVersion: v1
kind: Namespace
metadata: {name: sample, labels: {istio-injection: enabled}}
END
  k "$index" --namespace sample wait --for=create --timeout=$patience configmap/istio-ca-root-cert
  {
    # The namespace keeps the labels that it has.
    sed "s|set-per-cluster|$(value .curl)|; /managed-by/d" "$repo/manifests/mesh/sample.yaml"
    echo ---
    sed -E "s|set-per-cluster|$(value ".helloworld.$version")|; s|^  name: helloworld\$|&-$version|
      s|^( *)app: helloworld\$|&\n\1version: $version|" "$repo/manifests/mesh/helloworld.yaml"
  } | apply "$index" -f -
  k "$index" --namespace sample rollout status "deployment/helloworld-$version" --timeout=$patience
  k "$index" --namespace sample rollout status deployment/curl --timeout=$patience
}

# === one mesh ===

# The barrier: its gateway answers the next cluster's node.
knock() {
  local from=$(($1 % count + 1)) address
  address=$(k "$1" --namespace istio-system get service istio-eastwestgateway -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')
  wait_for 60 "the east-west gateway of $prefix$1 at $address" \
    docker exec "$prefix$from-control-plane" timeout 2 bash -c ": </dev/tcp/$address/15443"
}

# The kubeconfig by which the others read the cluster.
reader_access() {
  local name=$prefix$1 secret=istio-reader-service-account-istio-remote-secret-token token authority
  apply "$1" -f "$repo/manifests/mesh/reader-token.yaml"
  k "$1" --namespace istio-system wait --for='jsonpath={.data.token}' --timeout=$patience secret/$secret
  # What is secret stays out of the log.
  set +x
  k "$1" --namespace istio-system get secret $secret -o json >"$work/token$1"
  token=$(jq -er '.data.token | @base64d' "$work/token$1")
  authority=$(jq -er '.data["ca.crt"]' "$work/token$1")
  cat >"$work/access$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: $name, cluster: {server: "https://$name-control-plane:6443", certificate-authority-data: $authority}}]
users: [{name: $name, user: {token: $token}}]
contexts: [{name: $name, context: {cluster: $name, user: $name}}]
current-context: $name
END
}

# In one pass for each cluster: a secret for every other one.
remote_secrets() {
  local other name
  for other in $(members); do
    [ "$other" != "$1" ] || continue
    name=$prefix$other
    cat <<END
---
apiVersion: v1
kind: Secret
metadata:
  name: istio-remote-secret-$name
  namespace: istio-system
  labels: {istio/multiCluster: "true"}
  annotations: {networking.istio.io/cluster: $name}
data: {$name: $(base64 -w0 "$work/access$other")}
END
  done | apply "$1" -f -
}

# Twenty calls at a time, until all of a round succeed and both versions are among the answers.
call_sample() {
  wait_for 120 "answers of v1 and v2 in $prefix$1" round "$1"
}

round() {
  k "$1" --namespace sample exec deployment/curl --container curl -- \
    sh -c 'n=0; while [ $n -lt 20 ]; do curl -fsS --max-time 3 http://helloworld.sample:5000/hello || exit 1; n=$((n + 1)); done' >"$work/answers$1" || return 1
  grep -q 'version: v1' "$work/answers$1" && grep -q 'version: v2' "$work/answers$1"
}
