//! The schemas of what models are asked by tensors, and of what they answer.

use serde_json::{Value, json};

use crate::heads::qa_bounds::WINDOW_TOKENS;
use crate::http::openapi::derived::part;
use crate::http::openapi::schema::{
    Object, answer, list, one_of_names, reference, request, string, with,
};
use crate::limits::Limits;
use crate::service::oip::Datatype;

/// The schemas of requests and answers, by their names.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    vec![
        ("InferRequest", infer_request().into()),
        ("InferInput", infer_input(limits).into()),
        ("InferRequestedOutput", requested_output().into()),
        ("InferParameters", parameters().into()),
        ("TensorData", tensor_data()),
        ("InferResponse", infer_response().into()),
        ("InferOutput", infer_output(limits).into()),
    ]
}

fn infer_request() -> Object {
    request("Tensors for a model.")
        .required(
            "inputs",
            with(list(reference("InferInput")), "minItems", 1),
            "The tensors, in any order.",
        )
        .optional(
            "outputs",
            list(reference("InferRequestedOutput")),
            "Those wanted, in this order; all where none is named.",
        )
        .optional(
            "parameters",
            reference("InferParameters"),
            "The request's parameters.",
        )
        .optional(
            "id",
            string(),
            "The client's name for the request, which its answer repeats.",
        )
        .optional("model_name", string(), "What the path says, or nothing.")
        .optional("model_version", string(), "What the path says, or nothing.")
}

fn infer_input(limits: &Limits) -> Object {
    let parameters = ignoring_others(request("How it is sent. Others are ignored.").optional(
        "binary_data_size",
        json!({"type": ["integer", "string"], "minimum": 0}),
        "Its bytes behind the JSON; then it has no `data`.",
    ));
    tensor(request("A tensor that is sent."), limits)
        .optional(
            "data",
            reference("TensorData"),
            "Its elements; absent where they are binary.",
        )
        .optional("parameters", parameters.into(), "How it is sent.")
}

fn requested_output() -> Object {
    let parameters = ignoring_others(request("How it is wanted. Others are ignored.").optional(
        "binary_data",
        json!({"type": "boolean"}),
        "Whether it is wanted in binary.",
    ));
    request("An output that is wanted.")
        .required("name", string(), "Its name.")
        .optional("parameters", parameters.into(), "How it is wanted.")
}

/// Numbers and truth values may come as text, since some clients send no others.
fn parameters() -> Object {
    let number = |minimum: usize| json!({"type": ["integer", "string"], "minimum": minimum});
    let truth = || json!({"type": ["boolean", "string"]});
    let parameters = request("Parameters of a request: those of the protocol, and the options of the task's own route for texts. Others \
             are ignored, unless they are within two edits of one of these, or an option of another task.")
        .optional(
            "priority",
            with(number(0), "maximum", 5),
            "1, the highest, to 5; 0 for the usual one.",
        )
        .optional("timeout", number(0), "How long the answer is waited for, in microseconds; 0 for the usual time. Where x-request-timeout-ms is sent too, the sooner holds.")
        .optional("binary_data_output", json!({"type": "boolean"}), "Whether outputs that do not say are wanted in binary.")
        .optional(
            "threshold",
            json!({"type": ["number", "string"], "minimum": 0, "maximum": 1}),
            "Of /discriminate.",
        )
        .optional("level", one_of_names(&["token", "word"]), "Of /discriminate.")
        .optional("function", one_of_names(&["softmax", "sigmoid", "none"]), "Of /classify.")
        .optional("truncate", truth(), "Of /classify.")
        .optional(
            "aggregation",
            one_of_names(&["none", "simple", "first", "average", "max"]),
            "Of /tag.",
        )
        .optional("top_k", number(1), "Of /classify and /qa.")
        .optional("no_answer", truth(), "Of /qa.")
        .optional("max_answer_tokens", number(1), "Of /qa.")
        .optional("stride", with(number(0), "maximum", WINDOW_TOKENS / 2), "Of /qa.")
        .optional("offsets", one_of_names(&["codepoint", "utf8", "utf16"]), "Of /discriminate, /tag and /qa.");
    ignoring_others(parameters)
}

/// Parameters beside which clients of other servers may send their own, save those that would change the data.
fn ignoring_others(parameters: Object) -> Object {
    parameters
        .optional(
            "content_type",
            one_of_names(&["str", "np", "pd"]),
            "What MLServer's clients say of elements that are sent as they are; any other is refused.",
        )
        .optional(
            "classification",
            json!({"enum": [0, null]}),
            "How clients say that they want the tensor itself.",
        )
        .open()
}

fn tensor_data() -> Value {
    json!({
        "description": "The elements of a tensor, row after row, flat or nested. They are of its datatype: strings for BYTES.",
        "type": "array",
        "items": {"anyOf": [{"type": ["boolean", "number", "string"]}, reference("TensorData")]},
    })
}

fn infer_response() -> Object {
    answer("What a model answers.")
        .required("model_name", string(), "The model, never an alias.")
        .required("model_version", string(), "The version that answered.")
        .present("id", string(), "That of the request, if it had one.")
        .required(
            "outputs",
            list(reference("InferOutput")),
            "In the order that was asked for.",
        )
}

fn infer_output(limits: &Limits) -> Object {
    let parameters = answer("How it is sent.").required(
        "binary_data_size",
        json!({"type": "integer", "minimum": 0}),
        "Its bytes behind the JSON.",
    );
    let data = list(json!({"type": ["boolean", "number", "string"]}));
    tensor(answer("A tensor that is answered."), limits)
        .present(
            "data",
            data,
            "Its elements, flat; absent where they are binary.",
        )
        .present("parameters", parameters.into(), "There where it is binary.")
}

fn tensor(object: Object, limits: &Limits) -> Object {
    object
        .required("name", string(), "Its name.")
        .required(
            "datatype",
            part::<Datatype>(limits),
            "The type of its elements.",
        )
        .required(
            "shape",
            list(json!({"type": "integer", "minimum": 0})),
            "Its dimensions.",
        )
}
