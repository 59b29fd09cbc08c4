#' Where a run is computed
#'
#' `sim_local()`: processes on this machine; needs neither Docker nor an account. `sim_docker()`: containers on this
#' machine, under the contract of SageMaker Processing. `sim_sagemaker()`: jobs of SageMaker Processing, in the account
#' and region of the usual AWS configuration (environment variables, profiles, SSO); runs live in S3 then. Without an
#' account all of it can be
#' rehearsed: `vignette("sagemaker")`.
#'
#' Interrupting [sim_run()] on SageMaker (Ctrl-C, or RStudio's stop button) detaches from the run: its jobs go on and
#' cost money until they have ended, [sim_watch()] follows them from any machine, [sim_cancel()] stops them.
#'
#' @param workers `[numeric(1)]` cores of one job. `NULL`: all of them.
#' @param image `[character(1)]` the image that runs the simulation, see [image_build()]. For SageMaker one that is
#'   here, which is pushed to the account's ECR, or the address of one there. `NULL`: `"simferry-r"`, or
#'   `"simferry-python"` for a Python script.
#' @param instance_type `[character(1)]` such as `"ml.m5.xlarge"`: its cores and memory are what a job gets. `NULL`: in
#'   containers here all of this machine's, on SageMaker `"ml.m5.xlarge"`. For SageMaker `[character]`: the first of
#'   several that is to be had.
#' @param jobs `[numeric(1)]` how many containers, or jobs, share the work. `NULL`: 1.
#' @param max_runtime `[numeric(1)]` seconds after which a job is ended. `NULL`: nine days, on SageMaker one.
#' @param hosts `[numeric(1)]` containers, or instances, of one job: a whole script gets one cluster over all of them.
#'   `NULL`: 1.
#' @param role `[character(1)]` name or ARN of the IAM role that jobs have. `NULL`: the environment variable
#'   `SIMFERRY_ROLE`.
#' @param volume `[numeric(1)]` GB of a job's disk. `NULL`: 30.
#' @param budget `[numeric(1)]` US dollars that the run may cost in all, by on-demand prices; the service itself ends
#'   jobs that would exceed it. `NULL`: no limit.
#' @param subnets,security_groups `[character]` of a VPC. `NULL`: none.
#' @param kms_key `[character(1)]` id of the key that encrypts what is stored, on disks and in S3. `NULL`: the service's
#'   own.
#' @param network_isolation `[logical(1)]` jobs reach no network.
#' @param encrypt_traffic `[logical(1)]` between the hosts of a job.
#' @param tags `[named character]` of the jobs, such as `c(project = "ferry")`. `NULL`: none.
#' @return A list of class `simferry_backend`, for `backend` of [sim_run()], [sim_plan()] and [registerDoSimferry()].
#' @examples
#' sim_local(workers = 2)
#' sim_docker("simferry-r", jobs = 2)
#' sim_sagemaker(c("ml.c5.4xlarge", "ml.m5.4xlarge"), jobs = 10, tags = c(project = "ferry"))
#' @export
sim_local <- function(workers = NULL) new_backend("local", workers = workers)

#' @rdname sim_local
#' @export
sim_docker <- function(image, workers = NULL, instance_type = NULL, jobs = NULL, max_runtime = NULL, hosts = NULL)
  new_backend("docker", image = image, workers = workers, instance_type = instance_type, jobs = jobs,
              max_runtime = max_runtime, hosts = hosts)

#' @rdname sim_local
#' @export
sim_sagemaker <- function(instance_type = NULL, jobs = NULL, image = NULL, role = NULL, max_runtime = NULL,
                          hosts = NULL, workers = NULL, volume = NULL, budget = NULL, subnets = NULL,
                          security_groups = NULL, kms_key = NULL,
                          network_isolation = FALSE, encrypt_traffic = FALSE, tags = NULL)
  new_backend("sagemaker", instance_type = instance_type, jobs = jobs, image = image, role = role,
              max_runtime = max_runtime, hosts = hosts, workers = workers, volume = volume, budget = budget,
              subnets = subnets, security_groups = security_groups, kms_key = kms_key,
              network_isolation = if (!isFALSE(network_isolation)) network_isolation,
              encrypt_traffic = if (!isFALSE(encrypt_traffic)) encrypt_traffic, tags = tags)

new_backend <- function(name, ...) {
  structure(class = "simferry_backend", Filter(Negate(is.null), list(name = name, ...)))
}

#' @export
format.simferry_backend <- function(x, ...) {
  options <- unclass(x)[-1]
  paste0("backend ", x$name,
         if (length(options)) paste0(": ", paste(names(options), options, sep = " = ", collapse = ", ")))
}

#' @export
print.simferry_backend <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}
