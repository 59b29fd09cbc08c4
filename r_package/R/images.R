#' Images: build, check and push them
#'
#' For [sim_docker()]. `image_build()` builds an image from a folder with a Dockerfile, or for a script, whose packages
#' it finds. The tag is a hash of all inputs of the build; an unchanged image is not built again. `image_check()` tests
#' whether simferry can use an image: interpreter, user, folders, worker, exit codes. `image_push()` pushes it to ECR,
#' or to any registry that Docker is logged in to. `image_prune()` deletes images from ECR that nothing uses any more:
#' it shows which, with their sizes, and asks. Images of jobs that run stay, and those of runs that are kept in
#' simferry's buckets, in the default bucket, in `SIMFERRY_STORE` or on this machine.
#'
#' @param folder `[character(1)]` a folder with a Dockerfile.
#' @param script `[character(1)]` instead: a script. The Dockerfile that it needs is written beside it, in a folder
#'   `.image`.
#' @param name `[character(1)]` the image's name.
#' @param packages `[character]` names of packages to install, in addition to those that the script is found to use.
#' @param build_args `[named list]` build arguments of the Dockerfile.
#' @param platform `[character(1)]` such as `"linux/amd64"`, where it is not this machine's.
#' @param rebuild `[logical(1)]` build even if this machine has the image already.
#' @param to `[character(1)]` a registry, such as `"123456789012.dkr.ecr.us-west-2.amazonaws.com"`. `NULL`: the
#'   repository of the stack that [infra_deploy()] makes.
#' @param repository `[character(1)]` a repository that simferry has made. `NULL`: that of the stack, and those of no
#'   stack.
#' @param keep `[numeric(1)]` so many of the newest images of each name stay in any case.
#' @param older_than `[numeric(1)]` days: only images that were pushed before.
#' @param used `[logical(1)]` also images that kept runs use: these runs can't be resumed or replayed then.
#' @param store `[character]` further stores whose runs count.
#' @param yes `[logical(1)]` do not ask.
#' @return `image_build()`: a list with `tag`, `id`, and `skipped` (it was here already), among others. `image_check()`:
#'   a data frame of class `simferry_doctor`, as [simferry_doctor()] gives it. `image_push()`: a list with `uri`,
#'   `digest`, `skipped`. `image_prune()`, invisibly: a list with `images`, a data frame of those that were deleted;
#'   `repositories`, `[character]`, those that went with their last image; `gigabytes`. `NULL` if the answer was no.
#' @section Errors: `simferry_error_image`, `simferry_error_docker`, `simferry_error_registry`: the build failed, Docker
#'   does not answer, the registry refuses.
#' @examples
#' \dontrun{
#' image_build("containers/r", build_args = list(PACKAGES = "lme4 survival"))
#' image_check("simferry-r")
#' image_push("simferry-r")   # to the repository of infra_deploy()
#' image_push("simferry-r", to = "123456789012.dkr.ecr.us-west-2.amazonaws.com")
#' image_prune(older_than = 30)
#' }
#' @export
image_build <- function(folder = NULL, script = NULL, name = NULL, packages = NULL, build_args = NULL, platform = NULL,
                        rebuild = FALSE)
  bridge("image_build", folder = folder, script = script, name = name, packages = packages,
         build_args = if (length(build_args)) as.list(build_args), platform = platform, rebuild = rebuild)

#' @rdname image_build
#' @export
image_check <- function(name) structure(bridge("image_check", name = name), class = c("simferry_doctor", "data.frame"))

#' @rdname image_build
#' @export
image_push <- function(name, to = NULL) bridge("image_push", name = name, to = to)

#' @rdname image_build
#' @export
image_prune <- function(repository = NULL, keep = 1, older_than = 0, used = FALSE, store = NULL, yes = FALSE)
  invisible(dialogue("image_prune", repository = repository, keep = keep, older_than = older_than, used = isTRUE(used),
                     store = store, yes = isTRUE(yes)))
