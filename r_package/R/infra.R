#' Infrastructure in an AWS account
#'
#' `infra_deploy()` makes what runs on SageMaker and AWS Batch need, as stacks of CloudFormation: a bucket for runs, a
#' repository for images, job queues, the roles of jobs, and a policy and a role for users who submit runs.
#' [sim_sagemaker()] and [sim_batch()] then take them from there. It shows first what would be added, changed, replaced
#' or removed. It can be repeated: what is there already is updated, and an attempt that was interrupted is continued.
#' `infra_show()` tells what is there, what runs now, and what both cost. `infra_delete()` deletes the stacks; the
#' bucket stays while something is in it, unless `data` is `TRUE`. `infra_template()` gives the template, to read or to
#' change. `infra_list()` lists all that simferry has made in the account, in the configured region: also what no
#' stack has made, and what a deleted one has left. Where access is denied, the rest is listed.
#'
#' Credentials and region are those of the usual AWS configuration. In a session that is not interactive, nothing is
#' done unless `yes` is `TRUE`. Interrupting does not stop CloudFormation; calling the function again follows it.
#'
#' @param name `[character(1)]` the name of the stack. `NULL`: the environment variable `SIMFERRY_STACK`, or
#'   `"simferry"`. For `infra_template()`: `"base"`, `"batch"` or `"rstudio"`.
#' @param template `[character]` path of your own copy of a template, or of both. `NULL`: those of the package.
#' @param parameters `[named list]` parameters of the templates, such as `list(DeleteRunsAfterDays = 90)`. Those that
#'   are not given keep their values.
#' @param yes `[logical(1)]` do not ask.
#' @param costs `[logical(1)]` ask Cost Explorer what this month has cost. AWS charges 0.01 dollars for that. The bill
#'   knows the tag `simferry:stack` only after it was activated as a cost allocation tag.
#' @param data `[logical(1)]` delete the bucket with all its runs, too.
#' @return `infra_deploy()` and `infra_show()`: a list of class `simferry_infra` with `stacks` (states) and `outputs`
#'   (addresses, roles), `[named character]`; `stored`, a data frame of `what`, `name`, `things`, `gigabytes`,
#'   `dollars_a_month`, `complete`; `images`, `[character]`; `jobs`, a data frame of the jobs that run now: `name`,
#'   `role`, `instance_type`, `instances`, `dollars_an_hour`; `queues`, a data frame of Batch's: `on`, `vcpus`,
#'   `running`, `waiting` (jobs), `dollars_an_hour`, `trouble` (why it starts none); `endpoints`, a data frame as of
#'   [sim_endpoints()]; `instances`, `dollars_an_hour`,
#'   `dollars_a_month`, `[numeric(1)]` in US dollars; `costs`, a data frame of `service` and `dollars`, or `NULL`.
#'   `infra_deploy()` gives it invisibly, and `NULL` if the answer was no.
#'   `infra_list()`: a list of class `simferry_infra` with data frames: `stacks`, `buckets`, `runs`, `repositories`,
#'   `images`, `logs`, `endpoints`, `others`, with names, stacks, sizes in `gigabytes`, and where a bucket has very many
#'   objects `complete`, `FALSE`: only the first were counted; `unseen`, `[character]`, what could not be looked at;
#'   `dollars_an_hour`, `dollars_a_month`, `[numeric(1)]`.
#'   `infra_delete()`: `[logical(1)]` whether it was carried out, invisibly. `infra_template()`: `[character(1)]`.
#' @section Errors: `simferry_error_usage`: a name, parameter or template that is wrong; there is no such stack; jobs
#'   still run. `simferry_error_stack`: CloudFormation could not do it, with the first failure.
#'   `simferry_error_credentials`, `simferry_error_aws`: AWS does not answer or refuses. `simferry_error_interrupted`.
#' @examples
#' \dontrun{
#' infra_deploy()
#' run <- sim_run("train_model.R", sim_grid(n = 10:20), replications = 100, backend = sim_batch(jobs = 200))
#' infra_show()
#' infra_list()$runs
#' infra_delete()
#' }
#' @export
infra_deploy <- function(name = NULL, template = NULL, parameters = list(), yes = FALSE) {
  found <- dialogue("infra_deploy", name = name, template = template,
                    parameters = if (length(parameters)) as.list(parameters), yes = isTRUE(yes))
  invisible(if (!is.null(found)) structure(found, class = "simferry_infra"))
}

#' @rdname infra_deploy
#' @export
infra_show <- function(name = NULL, costs = FALSE) {
  ask <- if (isTRUE(costs)) dialogue else bridge
  structure(ask("infra_show", name = name, costs = isTRUE(costs)), class = "simferry_infra")
}

#' @rdname infra_deploy
#' @export
infra_list <- function() structure(bridge("infra_list"), class = "simferry_infra")

#' @rdname infra_deploy
#' @export
infra_delete <- function(name = NULL, data = FALSE, yes = FALSE)
  invisible(dialogue("infra_delete", name = name, data = isTRUE(data), yes = isTRUE(yes)))

#' @rdname infra_deploy
#' @export
infra_template <- function(name = "base") bridge("infra_template", name = name)

# A verb that prints lines as they come, and asks.
dialogue <- function(verb, ...) {
  step <- bridge(verb, ...)
  while (step$kind != "end") {
    answer <- TRUE
    if (step$kind == "line") message(shown(step$value))
    else if (interactive()) answer <- says_yes(step$value)
    else {
      bridge("infra_next", answer = FALSE)   # so that nothing is left of it
      raise("usage", "nothing is done: this session is not interactive, and can't ask", "yes = TRUE  does not ask.")
    }
    step <- bridge("infra_next", answer = answer)
  }
  step$value
}

says_yes <- function(question) {
  answer <- tryCatch(readline(paste0(question, " [y/N]: ")), interrupt = function(e) "")
  tolower(trimws(answer)) %in% c("y", "yes")
}

#' @export
format.simferry_infra <- function(x, ...) as.character(x$text)

#' @export
print.simferry_infra <- function(x, ...) {
  cat(shown(format(x), stdout()), sep = "\n")
  invisible(x)
}
