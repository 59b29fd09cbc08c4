#' Where a run is computed
#'
#' `sim_local()`: processes on this machine; needs neither Docker nor an account. `sim_docker()`: containers on this machine,
#' under the contract of SageMaker Processing.
#'
#' @param workers `[numeric(1)]` cores of one job. `NULL`: all of them.
#' @param image `[character(1)]` the image that runs the simulation, see [image_build()].
#' @param instance_type `[character(1)]` such as `"ml.m5.xlarge"`: its cores and memory are what a job gets. `NULL`: all of
#'   this machine's.
#' @param jobs `[numeric(1)]` how many containers share the work.
#' @param max_runtime `[numeric(1)]` seconds after which a job is ended.
#' @param hosts `[numeric(1)]` containers of one job: a whole script gets one cluster over all of them.
#' @return A list of class `simferry_backend`, for `backend` of [sim_run()].
#' @examples
#' sim_local(workers = 2)
#' sim_docker("simferry-r", jobs = 2)
#' @export
sim_local <- function(workers = NULL) new_backend("local", workers = workers)

#' @rdname sim_local
#' @export
sim_docker <- function(image, workers = NULL, instance_type = NULL, jobs = NULL, max_runtime = NULL, hosts = NULL)
  new_backend("docker", image = image, workers = workers, instance_type = instance_type, jobs = jobs, max_runtime = max_runtime, hosts = hosts)

new_backend <- function(name, ...) structure(class = "simferry_backend", Filter(Negate(is.null), list(name = name, ...)))

#' @export
format.simferry_backend <- function(x, ...) {
  options <- unclass(x)[-1]
  paste0("backend ", x$name, if (length(options)) paste0(": ", paste(names(options), options, sep = " = ", collapse = ", ")))
}

#' @export
print.simferry_backend <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}
