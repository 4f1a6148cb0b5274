//! `NULL` everywhere: every function of the header is called so, and says what is missing.

mod common;

use std::fmt::Write as _;

use common::{Function, Installed, Parameter, functions, plain_structs, told};

/// What functions without a status answer to `NULL`, where it is not zero.
const ANSWERS: [(&str, &str); 6] = [
    ("lucarne_error_message", "strcmp(answer, \"\") == 0"),
    ("lucarne_status_name", "strcmp(answer, \"ok\") == 0"),
    ("lucarne_producer_fd", "answer == LUCARNE_NO_FD"),
    ("lucarne_consumer_fd", "answer == LUCARNE_NO_FD"),
    ("lucarne_producer_timeout", "answer == UINT64_MAX"),
    ("lucarne_format_name", "answer > 0"),
];
/// The same, for those that tell something of nothing.
const ALWAYS: [&str; 3] = ["lucarne_version", "lucarne_now", "lucarne_modifier_name"];
/// Functions whose pointers may all be `NULL`.
const TAKE_NULL: [&str; 1] = ["lucarne_log_to"];
/// Functions that succeed where nothing but their places is given.
const NEED_NOTHING: [&str; 10] = [
    "lucarne_fence_merge",
    "lucarne_cpu_device_open",
    "lucarne_vulkan_device_open",
    "lucarne_egl_device_open",
    "lucarne_egl_device_from_current",
    "lucarne_gbm_device_open",
    "lucarne_fence_signaled",
    "lucarne_fence_from_sync_file",
    "lucarne_request_new",
    "lucarne_streams_find",
];

const PRELUDE: &str = "#include <lucarne.h>\n#include <stdio.h>\n#include <string.h>\n\
    static int wrong;\n\
    static void expect(int holds, const char *what) { if (!holds) { wrong++; printf(\"%s\\n\", what); } }\n\
    static inline int zero(const void *place, size_t size) {\n\
        const unsigned char *bytes = (const unsigned char *)place;\n\
        for (size_t i = 0; i < size; i++) if (bytes[i]) return 0;\n\
        return 1;\n}\n\
    int main(void) {\n";
const POSTLUDE: &str = "    printf(\"done\\n\");\n    return wrong != 0;\n}\n";

fn is_pointer(parameter: &Parameter) -> bool {
    parameter.kind.contains('*')
        || [
            "lucarne_function",
            "lucarne_record",
            "lucarne_log",
            "lucarne_destroy",
        ]
        .contains(&parameter.kind.as_str())
}

fn returns_status(function: &Function) -> bool {
    function.returns == "lucarne_status" && function.name != "lucarne_error_status"
}

/// With `NULL` and 0 for everything.
fn call_with_nothing(function: &Function) -> String {
    let name = &function.name;
    let arguments: Vec<&str> = function
        .parameters
        .iter()
        .map(|parameter| if is_pointer(parameter) { "NULL" } else { "0" })
        .collect();
    let call = format!("{name}({})", arguments.join(", "));
    if function.returns == "void" {
        return format!("    {call};\n");
    }
    if returns_status(function) {
        let takes = TAKE_NULL.contains(&name.as_str());
        let status = if takes { "OK" } else { "INVALID_ARGUMENT" };
        return format!("    expect({call} == LUCARNE_STATUS_{status}, \"{name}\");\n");
    }
    let known = ANSWERS.iter().find(|(known, _)| known == name);
    let holds = match known {
        Some((_, holds)) => holds,
        None if ALWAYS.contains(&name.as_str()) => "answer != 0",
        None if function.returns.ends_with('*') => "answer == NULL",
        None => "answer == 0",
    };
    let returns = &function.returns;
    format!("    {{ {returns} answer = {call}; expect({holds}, \"{name}\"); }}\n")
}

/// Whether an argument is a place that the call fills: a handle's, or a plain value's.
fn is_place(parameter: &Parameter) -> bool {
    if parameter.kind.ends_with("**") && !parameter.kind.starts_with("const") {
        return true;
    }
    let Some(pointee) = parameter.kind.strip_suffix('*') else {
        return false;
    };
    // Arrays to fill come with a count, and `void` with a size.
    plain_structs().contains(&pointee)
        || ["uint32_t", "int32_t", "uint64_t", "size_t"].contains(&pointee)
}

/// Places for answers, that hold rubbish, and `NULL` for all that the call works on: the places are emptied, and the error names
/// one of the arguments.
fn call_with_places(function: &Function) -> String {
    let name = &function.name;
    let mut text = String::from("    {\n");
    let (mut arguments, mut checks) = (Vec::new(), String::new());
    for (at, parameter) in function.parameters.iter().enumerate() {
        let (kind, argument) = (&parameter.kind, &parameter.name);
        // An array to fill, for which 0 says that it has no elements.
        let next = function.parameters.get(at + 1);
        let is_array = next.is_some_and(|next| next.kind == "size_t");
        if kind == "lucarne_error**" {
            text.push_str("        lucarne_error *error = NULL;\n");
            arguments.push("&error".to_owned());
        } else if is_place(parameter) && !is_array {
            let pointee = &kind[..kind.len() - 1];
            let _ = writeln!(
                text,
                "        {pointee} {argument};\n        memset(&{argument}, 0x5a, sizeof {argument});"
            );
            arguments.push(format!("&{argument}"));
            let holds = if argument == "fd" {
                "fd == LUCARNE_NO_FD".to_owned()
            } else {
                format!("zero(&{argument}, sizeof {argument})")
            };
            let _ = writeln!(
                checks,
                "        expect({holds}, \"{name} leaves {argument}\");"
            );
        } else {
            arguments.push(if is_pointer(parameter) { "NULL" } else { "0" }.to_owned());
        }
    }
    let _ = writeln!(
        text,
        "        expect({name}({}) == LUCARNE_STATUS_INVALID_ARGUMENT, \"{name} with places\");\n\
         {checks}        expect(lucarne_error_status(error) == LUCARNE_STATUS_INVALID_ARGUMENT, \"{name}: its error\");\n\
         \x20       expect(strlen(lucarne_error_message(error)) > 10, \"{name}: its message\");\n\
         \x20       lucarne_error_free(error);\n    }}",
        arguments.join(", ")
    );
    text
}

#[test]
fn every_function_takes_null_for_everything() {
    let functions = functions();
    assert!(functions.len() > 100, "{} functions", functions.len());
    let mut source = PRELUDE.to_owned();
    for function in &functions {
        source.push_str(&call_with_nothing(function));
    }
    source.push_str(POSTLUDE);
    let output = Installed::new().run_c("nulls", &source);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("done"));
}

#[test]
fn every_place_is_emptied_where_a_call_fails() {
    let functions = functions();
    let statuses = functions.iter().filter(|one| returns_status(one));
    let mut count = 0;
    let mut source = PRELUDE.to_owned();
    let wanted = |one: &&Function| {
        let name = one.name.as_str();
        !NEED_NOTHING.contains(&name) && !TAKE_NULL.contains(&name)
    };
    for function in statuses.filter(wanted) {
        source.push_str(&call_with_places(function));
        count += 1;
    }
    assert!(count > 40, "{count} functions");
    source.push_str(POSTLUDE);
    let output = Installed::new().run_c("places", &source);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("done"));
}

/// The lists above name functions that there are.
#[test]
fn no_exception_is_stale() {
    let functions = functions();
    let known = |name: &str| functions.iter().any(|function| function.name == name);
    let answers = ANSWERS.iter().map(|(name, _)| *name);
    for name in answers.chain(ALWAYS).chain(NEED_NOTHING).chain(TAKE_NULL) {
        assert!(known(name), "{name}");
    }
}
