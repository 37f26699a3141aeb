package cni

import (
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// serviceAccount is where the kubelet puts a pod's token and the cluster's certificate authority.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// oneItem asks for the shortest list that proves that listing is possible.
var oneItem = metav1.ListOptions{Limit: 1}

// APIConfig authenticates as the pod's service account. With an endpoint (host:port) it talks to that; without one, to the address
// of the kubernetes service, which answers only once kube-proxy has programmed it.
func APIConfig(endpoint string) (*rest.Config, error) {
	if endpoint == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("find the API server: %w", err)
		}
		return config, nil
	}
	if _, _, err := net.SplitHostPort(endpoint); err != nil {
		return nil, fmt.Errorf("control plane endpoint %q: %w", endpoint, err)
	}
	return &rest.Config{
		Host:            "https://" + endpoint,
		BearerTokenFile: serviceAccount + "/token",
		TLSClientConfig: rest.TLSClientConfig{CAFile: serviceAccount + "/ca.crt"},
	}, nil
}

// nodeClient speaks the core API only: the full client set would triple the size of the program.
func nodeClient(config *rest.Config) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/api"
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.UserAgent = "kindmesh-cni"
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return client, nil
}
