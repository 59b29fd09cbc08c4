#' Backends: where a run is computed
#'
#' `sim_local()`: processes on this machine, without Docker or an account. `sim_docker()`: containers on this
#' machine, under the contract of SageMaker Processing. `sim_sagemaker()`: jobs of SageMaker Processing, or with `spot`
#' of SageMaker Training, in the account and region of the usual AWS configuration (environment variables, profiles,
#' SSO); the runs are stored in S3.
#' `sim_batch()`: jobs of AWS Batch, on machines that start when jobs wait and end when none do, by default at the lower
#' price of Spot. Its queues and roles are those of [infra_deploy()]. `vignette("sagemaker")` shows how to try both
#' without an account.
#'
#' Interrupting [sim_run()] on SageMaker or AWS Batch (Ctrl-C, or RStudio's stop button) does not stop the jobs: they
#' continue, and cost money, until they have ended. [sim_watch()] follows them from any machine, [sim_cancel()] stops
#' them.
#'
#' @param workers `[numeric(1)]` number of cores of one job. `NULL`: all.
#' @param image `[character(1)]` the image that runs the simulation, see [image_build()]. For SageMaker and AWS Batch an
#'   image on this machine, which is pushed to the account's ECR, or the address of an image in ECR. `NULL`: the
#'   simulation `"image:NAME"` itself; for SageMaker and AWS Batch also `"simferry-r"`, or `"simferry-python"` or
#'   `"simferry-octave"` for a script of that language.
#' @param before `[character(1)]` path of a script, or of a `requirements.txt` for pip, that each container runs first,
#'   to install what the image lacks.
#'   It runs as the image's user, in the folder of the simulation. `NULL`: none.
#' @param images `[named character]` images of yours in place of AWS's framework images, such as
#'   `c("sagemaker-scikit-learn" = "simferry-python")`. `NULL`: the environment variable `SIMFERRY_IMAGES`.
#' @param instance_type `[character(1)]` such as `"ml.m5.xlarge"`: a job gets its cores and memory. `NULL`: in local
#'   containers all of this machine, on SageMaker `"ml.m5.xlarge"`. For SageMaker also several types, `[character]`: the
#'   first one with capacity is used.
#' @param jobs `[numeric(1)]` number of containers or jobs that share the work; on AWS Batch at most 10,000. `NULL`: 1.
#' @param vcpus `[numeric(1)]` vCPUs of a job, which are all its cores. `NULL`: 2.
#' @param memory `[character(1)]` memory of a job, such as `"8G"` or `"512M"`. `NULL`: `"4G"`.
#' @param on `[character(1)]` the machines: `"spot"`, cheap ones that AWS may take back, whose jobs start again;
#'   `"demand"`; or `"fargate"`, which start sooner and have certain sizes only. `NULL`: `"spot"`.
#' @param queue `[character(1)]` name or ARN of a job queue in place of the stack's.
#' @param attempts `[numeric(1)]` how often a job is started whose machine is lost, at most 10; on SageMaker of training
#'   jobs. `NULL`: 5.
#' @param spot `[logical(1)]` `TRUE`: training jobs on Spot machines, cheap ones that AWS may take back; a job then
#'   waits for another one, and goes on after its last block.
#' @param max_wait `[numeric(1)]` with `spot`: the longest time in seconds until a job's end, in which it waits and
#'   runs. `NULL`: `max_runtime` and a day.
#' @param service `[character(1)]` `"processing"` or `"training"`: the kind of SageMaker's jobs. `NULL`: `"training"`
#'   with `spot` and for an image that is the simulation, else `"processing"`.
#' @param keep_alive `[numeric(1)]` of training jobs: seconds for which a job's machine is kept for the next job, at
#'   most 21,600; they cost as much. `NULL`: 0.
#' @param max_runtime `[numeric(1)]` time limit of a job in seconds, on AWS Batch of each attempt and at least 60.
#'   `NULL`: nine days; on SageMaker and AWS Batch one day.
#' @param hosts `[numeric(1)]` number of containers or instances of one job; a whole script gets one cluster over all of
#'   them. `NULL`: 1.
#' @param mpi `[numeric(1)]` run a script or a command with MPI, in so many processes on each host. The image needs Open
#'   MPI, and an SSH server if there are several hosts: `image_build("containers/mpi")`. `NULL`: without MPI.
#' @param mpi_options `[character(1)]` options of mpirun, such as `"-x NAME"`.
#' @param each_host `[logical(1)]` run a script or a command on each host, instead of on the first one alone. The files
#'   of the others become artifacts, in folders of their names.
#' @param role `[character(1)]` name or ARN of the IAM role that jobs have. `NULL`: that of the stack for runs in its
#'   bucket, else the environment variable `SIMFERRY_ROLE`.
#' @param stack `[character(1)]` name of the stack of [infra_deploy()] whose roles, bucket, repository and queues are
#'   used. `NULL`: the environment variable `SIMFERRY_STACK`, or `"simferry"` if there is one.
#' @param volume `[numeric(1)]` size of a job's disk in GB. `NULL`: 30.
#' @param budget `[numeric(1)]` largest cost of the whole run in US dollars, at on-demand prices; AWS ends jobs that
#'   would exceed it. On AWS Batch each attempt counts at its longest; what machines cost before and after jobs is not
#'   counted. `NULL`: no limit.
#' @param subnets,security_groups `[character]` ids in the VPC in which jobs run. `NULL`: no VPC.
#' @param kms_key `[character(1)]` id of the KMS key that encrypts disks and files in S3. `NULL`: the default key of
#'   AWS.
#' @param network_isolation `[logical(1)]` `TRUE`: jobs have no network access.
#' @param encrypt_traffic `[logical(1)]` encrypt the traffic between the hosts of a job.
#' @param tags `[named character]` tags of the jobs, such as `c(project = "ferry")`. `NULL`: none.
#' @return A list of class `simferry_backend`, for `backend` of [sim_run()], [sim_plan()] and [registerDoSimferry()].
#' @examples
#' sim_local(workers = 2)
#' sim_docker("simferry-r", jobs = 2)
#' sim_sagemaker(c("ml.c5.4xlarge", "ml.m5.4xlarge"), jobs = 10, tags = c(project = "ferry"))
#' sim_sagemaker(jobs = 10, spot = TRUE)
#' sim_batch(jobs = 200, vcpus = 4, memory = "8G")
#' @export
sim_local <- function(workers = NULL) new_backend("local", workers = workers)

#' @rdname sim_local
#' @export
sim_docker <- function(image = NULL, workers = NULL, instance_type = NULL, jobs = NULL, max_runtime = NULL,
                       hosts = NULL, images = NULL, before = NULL, mpi = NULL, mpi_options = NULL, each_host = FALSE) {
  new_backend("docker", image = image, workers = workers, instance_type = instance_type, jobs = jobs,
              max_runtime = max_runtime, hosts = hosts, images = images, before = before, mpi = mpi,
              mpi_options = mpi_options, each_host = if (!isFALSE(each_host)) each_host)
}

#' @rdname sim_local
#' @export
sim_sagemaker <- function(instance_type = NULL, jobs = NULL, image = NULL, role = NULL, max_runtime = NULL,
                          hosts = NULL, workers = NULL, volume = NULL, budget = NULL, subnets = NULL,
                          security_groups = NULL, kms_key = NULL,
                          network_isolation = FALSE, encrypt_traffic = FALSE, tags = NULL,
                          images = NULL, stack = NULL, before = NULL, spot = FALSE, max_wait = NULL, service = NULL,
                          keep_alive = NULL, attempts = NULL, mpi = NULL, mpi_options = NULL, each_host = FALSE)
  new_backend("sagemaker", instance_type = instance_type, jobs = jobs, image = image, role = role,
              max_runtime = max_runtime, hosts = hosts, workers = workers, volume = volume, budget = budget,
              subnets = subnets, security_groups = security_groups, kms_key = kms_key,
              network_isolation = if (!isFALSE(network_isolation)) network_isolation,
              encrypt_traffic = if (!isFALSE(encrypt_traffic)) encrypt_traffic, tags = tags, images = images,
              stack = stack, before = before, spot = if (!isFALSE(spot)) spot, max_wait = max_wait, service = service,
              keep_alive = keep_alive, attempts = attempts, mpi = mpi, mpi_options = mpi_options,
              each_host = if (!isFALSE(each_host)) each_host)

#' @rdname sim_local
#' @export
sim_batch <- function(jobs = NULL, vcpus = NULL, memory = NULL, on = NULL, queue = NULL, stack = NULL,
                      max_runtime = NULL, attempts = NULL, budget = NULL, tags = NULL, image = NULL, before = NULL)
  new_backend("batch", jobs = jobs, vcpus = vcpus, memory = memory, on = on, queue = queue, stack = stack,
              max_runtime = max_runtime, attempts = attempts, budget = budget, tags = tags, image = image,
              before = before)

new_backend <- function(name, ...) {
  structure(class = "simferry_backend", Filter(Negate(is.null), list(name = name, ...)))
}

#' @export
format.simferry_backend <- function(x, ...) {
  options <- unclass(x)[-1]
  values <- vapply(options, function(value) paste(deparse(value, 500), collapse = " "), "")
  paste0("sim_", x$name, "(", paste(names(options), values, sep = " = ", collapse = ", "), ")")
}

#' @export
print.simferry_backend <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}
