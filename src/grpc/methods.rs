//! Names of services and methods, and how the server treats each method.

use super::proto::METHODS;
use super::proto::electra::electra_server;
use super::proto::inference::grpc_inference_service_server;
use crate::access::Need;
use crate::error::ServiceError;
use crate::task::Task;

/// Methods of standard protocols, implemented by other crates.
const COMMON_METHODS: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Services whose health is the server's health.
pub const SERVICES: &[&str] = &[
    electra_server::SERVICE_NAME,
    grpc_inference_service_server::SERVICE_NAME,
];

/// Finds the method at a path. Metrics use the result as the route's label.
pub fn find(path: &str) -> Result<&'static str, ServiceError> {
    METHODS
        .iter()
        .chain(COMMON_METHODS)
        .find(|method| **method == path)
        .copied()
        .ok_or_else(|| ServiceError::RouteNotFound {
            path: path.to_owned(),
            hint: "Server reflection lists the services and their methods.".to_owned(),
        })
}

/// The methods of a task: unary, then streaming.
pub fn of_task(task: Task) -> [&'static str; 2] {
    match task {
        Task::Discriminate => [
            "/electra.v1.Electra/Discriminate",
            "/electra.v1.Electra/DiscriminateStream",
        ],
        Task::Classify => [
            "/electra.v1.Electra/Classify",
            "/electra.v1.Electra/ClassifyStream",
        ],
        Task::Tag => ["/electra.v1.Electra/Tag", "/electra.v1.Electra/TagStream"],
        Task::Qa => [
            "/electra.v1.Electra/Answer",
            "/electra.v1.Electra/AnswerStream",
        ],
    }
}

/// The methods of a task as metrics label them.
pub fn task_routes(task: Task) -> impl Iterator<Item = String> {
    of_task(task).into_iter().map(str::to_owned)
}

/// Whether a method runs a model. A draining server refuses such calls.
pub fn runs_model(method: &str) -> bool {
    method.starts_with("/electra.v1.Electra/") || has_timeout_parameter(method)
}

/// Whether the method's request may carry a timeout of its own.
pub fn has_timeout_parameter(method: &str) -> bool {
    method == "/inference.GRPCInferenceService/ModelInfer"
}

/// Whether a method is a health check.
pub fn is_health(method: &str) -> bool {
    method.starts_with("/grpc.health.")
}

/// What a method needs of who calls it. Health checks of the Open Inference Protocol are as open as gRPC's own.
pub fn need(method: &str) -> Need {
    const OIP: &str = "/inference.GRPCInferenceService/";
    match method.strip_prefix(OIP) {
        Some("ServerLive" | "ServerReady" | "ModelReady") => Need::Nothing,
        Some("RepositoryModelLoad" | "RepositoryModelUnload") => Need::Control,
        None if is_health(method) => Need::Nothing,
        _ => Need::Infer,
    }
}

/// Whether a method takes or answers more than one message.
pub fn is_stream(method: &str) -> bool {
    method.ends_with("Stream") || method.ends_with("/Watch") || is_reflection(method)
}

/// Whether a method belongs to server reflection.
pub fn is_reflection(method: &str) -> bool {
    method.starts_with("/grpc.reflection.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_of_electra_is_of_one_task() {
        let electra = |method: &&&str| method.starts_with("/electra.v1.Electra/");
        let mut wanted: Vec<&str> = METHODS.iter().filter(electra).copied().collect();
        let mut found: Vec<&str> = Task::ALL.into_iter().flat_map(of_task).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted);
    }

    #[test]
    fn health_checks_are_open_and_loading_is_administration() {
        let of_need = |wanted: Need| {
            let all = METHODS.iter().chain(COMMON_METHODS).copied();
            all.filter(|method| need(method) == wanted)
                .map(|method| method.rsplit('/').next().unwrap())
                .collect::<Vec<_>>()
        };
        let mut open = of_need(Need::Nothing);
        open.sort_unstable();
        assert_eq!(
            open,
            ["Check", "ModelReady", "ServerLive", "ServerReady", "Watch"]
        );
        let mut control = of_need(Need::Control);
        control.sort_unstable();
        assert_eq!(control, ["RepositoryModelLoad", "RepositoryModelUnload"]);
        assert!(of_need(Need::Metrics).is_empty());
    }

    #[test]
    fn methods_are_found_by_their_paths() {
        assert_eq!(
            find("/electra.v1.Electra/TagStream"),
            Ok("/electra.v1.Electra/TagStream")
        );
        assert_eq!(
            find("/grpc.health.v1.Health/Watch"),
            Ok("/grpc.health.v1.Health/Watch")
        );
        let infer = find("/inference.GRPCInferenceService/ModelInfer").unwrap();
        assert!(runs_model(infer));
        assert_eq!(need(infer), Need::Infer);
        for unknown in ["/electra.v1.Electra/Tags", "/", "/electra.v1.Electra/"] {
            assert_eq!(find(unknown).unwrap_err().code(), "route_not_found");
        }
    }
}
