#' A model that is served on this machine
#'
#' Starts an image as an endpoint of SageMaker would (`docker run IMAGE serve`), in a container here, and waits until it
#' answers. `predict()` sends the rows of a data frame to it, as to an endpoint: see [sim_endpoint()]. Other programs
#' reach it at its `url`. `close()` ends the container. It lives as long as the object that `sim_serve()` gives, so keep
#' that in a variable; the end of the session ends it, too.
#'
#' @param image `[character(1)]` the name of an image.
#' @param model `[character(1)]` the model, a `.tar.gz`, which is unpacked into `/opt/ml/model`. `NULL`: the image has
#'   its own.
#' @param port `[numeric(1)]` the port of this machine; 0 takes a free one.
#' @param env `[named list]` environment variables of the container.
#' @param instance_type `[character(1)]` its memory and its cores are the limits, such as `"ml.m5.large"`.
#' @param memory `[character(1)]` the limit of the memory alone, such as `"2G"`.
#' @param network_isolation `[logical(1)]` the container has no way to the network.
#' @param startup_seconds `[numeric(1)]` seconds until it has to answer.
#' @param object,con what `sim_serve()` gives.
#' @param newdata `[data.frame]` or a matrix. Its rows are sent as CSV; missing values are empty.
#' @param header `[logical(1)]` begin the CSV with the names of the columns.
#' @param content_type `[character(1)]` `"text/csv"`, or `"application/json"`: a list of records.
#' @param accept `[character(1)]` the content type that is wanted as the answer. `NULL`: the container decides.
#' @param ... not used.
#' @return `sim_serve()`: an object of class `simferry_server`, a list with `url` and `image`, `[character(1)]`.
#'   `predict()`: a vector with a value for each row, or a data frame if each answer has several.
#'   `close()`: `NULL`, invisibly.
#' @section Errors: `simferry_error_usage`: an argument that is wrong; a port in use; a server that was closed.
#'   `simferry_error_model`: an archive that is none, or holds links. `simferry_error_image`: the image is not there, or
#'   has no program `serve`. `simferry_error_serving`: the container does not answer, with its last lines; it answers
#'   with an error. `simferry_error_docker`.
#' @examples
#' \dontrun{
#' server <- sim_serve("simferry-sklearn", "model.tar.gz")
#' predict(server, iris[1:4])
#' close(server)
#' }
#' @export
sim_serve <- function(image, model = NULL, port = 8080, env = list(), instance_type = NULL, memory = NULL,
                      network_isolation = FALSE, startup_seconds = 480) {
  made <- bridge("serve", image = image, model = if (!is.null(model)) path.expand(model), port = port,
                 env = if (length(env)) as.list(env), instance_type = instance_type, memory = memory,
                 network_isolation = isTRUE(network_isolation), startup_seconds = startup_seconds)
  held <- new.env(parent = emptyenv())
  held$token <- made$token
  reg.finalizer(held, function(one) bridge("serve_close", token = one$token), onexit = TRUE)
  message(shown(sprintf("%s serves %s: ready after %.1f s, /ping in %.1f ms", made$url, image, made$ready,
                        1000 * made$ping)))
  invisible(structure(list(url = made$url, image = image, held = held), class = "simferry_server"))
}

#' @rdname sim_serve
#' @export
predict.simferry_server <- function(object, newdata, header = FALSE, content_type = "text/csv", accept = NULL, ...)
  bridge("serve_predict", token = object$held$token, data = as.data.frame(newdata), header = isTRUE(header),
         content_type = content_type, accept = accept)

#' @rdname sim_serve
#' @export
close.simferry_server <- function(con, ...) invisible(bridge("serve_close", token = con$held$token))

#' @export
format.simferry_server <- function(x, ...) paste(x$url, "serves", x$image)

#' @export
print.simferry_server <- function(x, ...) {
  cat(shown(format(x), stdout()), sep = "\n")
  invisible(x)
}
