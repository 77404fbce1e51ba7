//! Schemas of inference requests and answers.

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::http::openapi::derived::part;
use crate::http::openapi::schema::{
    Object, answer, list, one_of_names, reference, request, string, with,
};
use crate::limits::Limits;
use crate::service::oip::Datatype;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest, TaskOperation};

/// Schemas of requests and answers, by name.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    vec![
        ("InferRequest", infer_request().into()),
        ("InferInput", infer_input(limits).into()),
        ("InferRequestedOutput", requested_output().into()),
        ("InferParameters", parameters(limits).into()),
        ("TensorData", tensor_data()),
        ("InferResponse", infer_response().into()),
        ("InferOutput", infer_output(limits).into()),
    ]
}

fn infer_request() -> Object {
    request("Input tensors for a model, and the outputs to return.")
        .required(
            "inputs",
            with(list(reference("InferInput")), "minItems", 1),
            "The input tensors, in any order.",
        )
        .optional(
            "outputs",
            list(reference("InferRequestedOutput")),
            "The outputs to return, in this order. If none is named, all are returned.",
        )
        .optional(
            "parameters",
            reference("InferParameters"),
            "The request's parameters.",
        )
        .optional(
            "id",
            string(),
            "The client's id for the request, repeated in the answer.",
        )
        .optional(
            "model_name",
            string(),
            "The model's name. If present and not empty, it must match the path.",
        )
        .optional(
            "model_version",
            string(),
            "The model's version. If present and not empty, it must match the path, if that names a version.",
        )
}

fn infer_input(limits: &Limits) -> Object {
    let parameters = ignoring_others(request("How the tensor is sent. Other parameters are ignored.").optional(
        "binary_data_size",
        json!({"type": ["integer", "string"], "minimum": 0}),
        "The size of the tensor's binary data after the JSON, in bytes. If set, `data` must be absent.",
    ));
    tensor(request("An input tensor."), limits)
        .optional(
            "data",
            reference("TensorData"),
            "The elements. Absent if they are sent as binary data.",
        )
        .optional(
            "parameters",
            parameters.into(),
            "How the tensor is sent. Other parameters are ignored.",
        )
}

fn requested_output() -> Object {
    let parameters = ignoring_others(
        request("How the output is returned. Other parameters are ignored.").optional(
            "binary_data",
            json!({"type": "boolean"}),
            "Whether to return the output as binary data.",
        ),
    );
    request("An output to return.")
        .required("name", string(), "The output's name.")
        .optional(
            "parameters",
            parameters.into(),
            "How the output is returned. Other parameters are ignored.",
        )
}

/// Numbers and booleans may be strings, because some clients send only strings.
fn parameters(limits: &Limits) -> Object {
    let number = |minimum: usize| json!({"type": ["integer", "string"], "minimum": minimum});
    let parameters = request(
        "Parameters of a request: those of the protocol and, for texts, the options of the task's own route. Other \
         parameters are ignored, except that names within two edits of one of these, and options of other tasks, are \
         refused.",
    );
    let parameters = parameters
        .optional(
            "priority",
            with(number(0), "maximum", 5),
            "The priority, from 1 (highest) to 5 (lowest). 0 means the default.",
        )
        .optional(
            "timeout",
            number(0),
            "The time limit for the answer, in microseconds. 0 means the default. If x-request-timeout-ms is sent \
             too, the earlier deadline applies.",
        )
        .optional(
            "binary_data_output",
            json!({"type": "boolean"}),
            "Whether outputs are returned as binary data by default. An output's `binary_data` overrides this.",
        );
    let options = options(limits).into_iter();
    let parameters = options.fold(parameters, |parameters, option| {
        let words = format!("As in requests to {}.", and(&option.routes));
        parameters.optional(option.name, option.schema, &words)
    });
    ignoring_others(parameters)
}

/// An option of one or more tasks, as a parameter.
struct OptionSchema {
    name: &'static str,
    schema: Value,
    /// The tasks' own routes.
    routes: Vec<String>,
}

/// The options of all tasks, with the schemas of their requests.
fn options(limits: &Limits) -> Vec<OptionSchema> {
    let mut options = Vec::new();
    add_options::<DiscriminateRequest>(&mut options, limits);
    add_options::<ClassifyRequest>(&mut options, limits);
    add_options::<TagRequest>(&mut options, limits);
    add_options::<QaRequest>(&mut options, limits);
    options
}

fn add_options<O: TaskOperation + JsonSchema>(options: &mut Vec<OptionSchema>, limits: &Limits) {
    let request = part::<O>(limits);
    let route = format!("/{}", O::TASK);
    for option in O::OPTIONS {
        match options.iter_mut().find(|other| other.name == option.name) {
            Some(other) => other.routes.push(route.clone()),
            None => options.push(OptionSchema {
                name: option.name,
                schema: parameter(&request["properties"][option.name], option.is_string),
                routes: vec![route.clone()],
            }),
        }
    }
}

/// The schema of a parameter, of that of the field in JSON: not null, and also as a string if it is a number or a boolean.
fn parameter(field: &Value, is_string: bool) -> Value {
    let kind = &field["type"][0];
    let mut schema = if is_string {
        let names = field["enum"].as_array().into_iter().flatten();
        let names: Vec<&Value> = names.filter(|name| !name.is_null()).collect();
        json!({"type": kind, "enum": names})
    } else {
        json!({"type": [kind, "string"]})
    };
    for bound in ["minimum", "maximum"] {
        // The largest number of the type is no bound that a client needs to know.
        if let Some(limit) = field
            .get(bound)
            .filter(|limit| limit.as_u64() != Some(u64::MAX))
        {
            schema[bound] = limit.clone();
        }
    }
    schema
}

/// `/a`, `/a and /b`, or `/a, /b and /c`.
fn and(routes: &[String]) -> String {
    match routes {
        [others @ .., one, last] => {
            let first = others.iter().map(|route| format!("{route}, "));
            format!("{}{one} and {last}", first.collect::<String>())
        }
        routes => routes.concat(),
    }
}

/// Allows parameters that clients of other servers add, except those that would change the data.
fn ignoring_others(parameters: Object) -> Object {
    parameters
        .optional(
            "content_type",
            one_of_names(&["str", "np", "pd"]),
            "MLServer's name for elements that are sent unencoded. Other values are refused.",
        )
        .optional(
            "classification",
            json!({"enum": [0, null]}),
            "0 or null, which ask for the tensor itself. Other values are refused.",
        )
        .open()
}

fn tensor_data() -> Value {
    json!({
        "description": "The elements of a tensor in row-major order, flat or nested. Their type follows from the \
                        datatype: strings for BYTES.",
        "type": "array",
        "items": {"anyOf": [{"type": ["boolean", "number", "string"]}, reference("TensorData")]},
    })
}

fn infer_response() -> Object {
    answer("A model's output tensors.")
        .required("model_name", string(), "The model's name, never an alias.")
        .required("model_version", string(), "The version that answered.")
        .present("id", string(), "The request's id, if it had one.")
        .required(
            "outputs",
            list(reference("InferOutput")),
            "The output tensors, in the requested order.",
        )
}

fn infer_output(limits: &Limits) -> Object {
    let parameters = answer("How the tensor is sent.").required(
        "binary_data_size",
        json!({"type": "integer", "minimum": 0}),
        "The size of the tensor's binary data after the JSON, in bytes.",
    );
    let data = list(json!({"type": ["boolean", "number", "string"]}));
    tensor(answer("An output tensor."), limits)
        .present(
            "data",
            data,
            "The elements, flat. Absent if they are sent as binary data.",
        )
        .present(
            "parameters",
            parameters.into(),
            "Present if the elements are sent as binary data.",
        )
}

fn tensor(object: Object, limits: &Limits) -> Object {
    object
        .required("name", string(), "The tensor's name.")
        .required(
            "datatype",
            part::<Datatype>(limits),
            "The type of the elements.",
        )
        .required(
            "shape",
            list(json!({"type": "integer", "minimum": 0})),
            "The dimensions.",
        )
}
