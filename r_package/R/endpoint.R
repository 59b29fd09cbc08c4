#' Models that answer requests in AWS
#'
#' `sim_endpoint_deploy()` makes an endpoint of SageMaker from an image that answers requests (`docker run IMAGE serve`)
#' and a model, and waits until it answers. It tells first what that costs, and asks. `predict()` sends the rows of a
#' data frame to it; `sim_endpoint_invoke()` sends a file, a text or raw bytes. `sim_endpoint_delete()` deletes the
#' endpoint, its configuration and its model: an endpoint on instances costs until then. `sim_endpoints()` lists those
#' of the account, in the configured region. `sim_endpoint_logs()` gives what its containers have printed.
#' `sim_transform()` lets a model answer all lines of files without an endpoint, and brings the answers.
#'
#' An image of this machine is pushed to ECR, a model of this machine is uploaded. If a deployment is interrupted, the
#' same call goes on. A deletion can be repeated. In a session that is not interactive, nothing is deployed unless `yes`
#' is `TRUE`.
#'
#' @param name `[character(1)]` the name of an endpoint, or an endpoint. For `sim_endpoint_deploy()` and
#'   `sim_transform()`: of what is made; `NULL`: a name made from that of the image.
#' @param image `[character(1)]` the image, of this machine or in ECR.
#' @param model `[character(1)]` the model: a `.tar.gz`, or its address `"s3://..."`. `NULL`: the image has its own.
#' @param instance_type `[character(1)]` the type of its machines. `NULL`: `"ml.t2.medium"` for an endpoint,
#'   `"ml.m5.large"` for `sim_transform()`.
#' @param instances `[numeric(1)]` their number.
#' @param serverless `[logical(1)]` no machines of its own: it costs nothing while it is idle.
#' @param memory `[numeric(1)]` of a serverless endpoint, 1024 to 6144 MB. `NULL`: 2048.
#' @param concurrency `[numeric(1)]` requests at once of a serverless endpoint. `NULL`: 5.
#' @param budget `[numeric(1)]` US dollars a day; an endpoint that can cost more is refused.
#' @param env `[named list]` environment variables of the container.
#' @param role `[character(1)]` the IAM role. `NULL`: that of the stack, or the environment variable `SIMFERRY_ROLE`.
#' @param stack `[character(1)]` the stack of [infra_deploy()]. `NULL`: `SIMFERRY_STACK`, or `"simferry"`.
#' @param yes `[logical(1)]` do not ask.
#' @param object an endpoint: what `sim_endpoint()` and `sim_endpoint_deploy()` give.
#' @param newdata `[data.frame]` or a matrix. Its rows are sent as CSV; missing values are empty.
#' @param header `[logical(1)]` begin the CSV with the names of the columns.
#' @param content_type `[character(1)]` the content type of what is sent. For `predict()` `"text/csv"`, or
#'   `"application/json"`: a list of records.
#' @param accept `[character(1)]` the content type that is wanted as the answer. `NULL`: the container decides.
#' @param body `[character]` lines of text, or `[raw]`.
#' @param file `[character(1)]` a file to send instead of `body`.
#' @param any `[logical(1)]` also an endpoint that simferry has not made.
#' @param source `[character(1)]` a file or a folder, or an address `"s3://..."`. The file `x.csv` is answered by
#'   `x.csv.out`.
#' @param output `[character(1)]` a folder, which is made, or an address `"s3://..."`.
#' @param split `[character(1)]` `"lines"` sends several lines in a request, `"files"` whole files.
#' @param single `[logical(1)]` send each line alone.
#' @param ... not used.
#' @return `sim_endpoint()` and `sim_endpoint_deploy()`: an object of class `simferry_endpoint`, a list with `name`;
#'   `NULL` if the answer to the question was no. `predict()`: a vector with a value for each row, or a data frame if
#'   each answer has several. `sim_endpoint_invoke()`: the answer, `[character(1)]`, or `[raw]` if it is no text.
#'   `sim_endpoints()`: a data frame of `name`, `status`, `reason`, `config`, `models`, `variants`, `images`,
#'   `instance_type`, `instances`, `memory_mb`, `concurrency`, `dollars_an_hour`, `created`, `ours`, `stack`.
#'   `sim_endpoint_logs()`: `[character]`, lines. `sim_endpoint_delete()`: `TRUE`, invisibly. `sim_transform()`: a list
#'   with `name`, `output`, `files`, `[character]`, `seconds` and `dollars`, `[numeric(1)]`, invisibly.
#' @section Errors: `simferry_error_usage`: an option, a model or data that are wrong; an endpoint that exists already,
#'   or does not exist; more than 6 MB (4 MB if it is serverless); a cost above the budget. `simferry_error_aws`: it
#'   failed, with the reason and the last lines of its log; an error of its container. `simferry_error_quota`,
#'   `simferry_error_credentials`.
#' @examples
#' \dontrun{
#' served <- sim_endpoint_deploy("simferry-sklearn", "model.tar.gz", instance_type = "ml.t2.medium")
#' predict(served, iris[1:4])
#' sim_endpoint_delete(served)
#' }
#' @export
sim_endpoint <- function(name) {
  if (inherits(name, "simferry_endpoint")) return(name)
  if (!is.character(name) || length(name) != 1L || is.na(name))
    raise("usage", "name is no name of an endpoint", "sim_endpoints()  lists them.")
  structure(list(name = name), class = "simferry_endpoint")
}

#' @rdname sim_endpoint
#' @export
sim_endpoint_deploy <- function(image, model = NULL, name = NULL, instance_type = NULL, instances = NULL,
                                serverless = FALSE, memory = NULL, concurrency = NULL, budget = NULL, env = list(),
                                role = NULL, stack = NULL, yes = FALSE) {
  found <- dialogue("endpoint_deploy", image = image, model = model, name = name, instance_type = instance_type,
                    instances = instances, serverless = isTRUE(serverless), memory = memory, concurrency = concurrency,
                    budget = budget, env = if (length(env)) as.list(env), role = role, stack = stack,
                    yes = isTRUE(yes))
  if (is.null(found)) return(invisible())
  for (line in found$text) message(shown(line))
  invisible(sim_endpoint(found$name))
}

#' @rdname sim_endpoint
#' @export
sim_endpoints <- function() bridge("endpoints")

#' @rdname sim_endpoint
#' @importFrom stats predict
#' @export
predict.simferry_endpoint <- function(object, newdata, header = FALSE, content_type = "text/csv", accept = NULL, ...)
  bridge("endpoint_predict", name = object$name, data = as.data.frame(newdata), header = isTRUE(header),
         content_type = content_type, accept = accept)

#' @rdname sim_endpoint
#' @export
sim_endpoint_invoke <- function(name, body = NULL, file = NULL, content_type = "text/csv", accept = NULL) {
  if (is.null(body) == is.null(file)) raise("usage", "give either body or file", "body = \"5.1,3.5,1.4,0.2\"")
  got <- bridge("endpoint_invoke", name = sim_endpoint(name)$name, body = body,
                file = if (!is.null(file)) path.expand(file), content_type = content_type, accept = accept)
  text <- if (!any(got$body == as.raw(0L))) rawToChar(got$body)
  if (is.null(text) || !validUTF8(text)) return(got$body)
  Encoding(text) <- "UTF-8"
  text
}

#' @rdname sim_endpoint
#' @export
sim_endpoint_logs <- function(name) bridge("endpoint_logs", name = sim_endpoint(name)$name)

#' @rdname sim_endpoint
#' @export
sim_endpoint_delete <- function(name, any = FALSE)
  invisible(dialogue("endpoint_delete", name = sim_endpoint(name)$name, any = isTRUE(any)))

#' @rdname sim_endpoint
#' @export
sim_transform <- function(image, model, source, output, split = "lines", content_type = "text/csv", accept = NULL,
                          single = FALSE, instance_type = NULL, instances = 1, name = NULL, env = list(), role = NULL,
                          stack = NULL) {
  done <- dialogue("transform", image = image, model = model, source = source, output = output, split = split,
                   content_type = content_type, accept = accept, single = isTRUE(single),
                   instance_type = instance_type, instances = instances, name = name,
                   env = if (length(env)) as.list(env), role = role, stack = stack)
  message(shown(done$text))
  invisible(done[names(done) != "text"])
}

#' @export
format.simferry_endpoint <- function(x, ...) as.character(bridge("endpoint_describe", name = x$name)$text)

#' @export
print.simferry_endpoint <- function(x, ...) {
  cat(shown(format(x), stdout()), sep = "\n")
  invisible(x)
}
