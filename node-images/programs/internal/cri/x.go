package cri
import ( _ "github.com/gogo/protobuf/jsonpb"; _ "google.golang.org/grpc"; _ "k8s.io/cri-api/pkg/apis/runtime/v1")
