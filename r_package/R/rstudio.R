#' RStudio on a machine in AWS
#'
#' `infra_rstudio_deploy()` makes a machine of EC2 with R, RStudio Server, Docker and this simferry, beside the
#' stack of [infra_deploy()], and may be repeated to update it. `infra_rstudio_open()` connects it to
#' `http://localhost:8787`, for the user `rstudio`, until it is interrupted; `infra_rstudio_password()` gives the
#' password, which the machine makes at each start. The machine stops itself after an hour without use (the
#' parameter `IdleMinutes`), and costs only its disk then; `infra_rstudio_start()` starts it again.
#' `infra_rstudio_show()` tells its state and costs. `infra_rstudio_delete()` deletes it with its disk.
#'
#' Nothing of the machine is open to the network: Session Manager of AWS connects it, with your AWS credentials.
#' That needs AWS's program session-manager-plugin on your machine. R sessions in that RStudio may submit runs.
#'
#' @inheritParams infra_deploy
#' @param name `[character(1)]` the name of the stack of [infra_deploy()]. `NULL`: the environment variable
#'   `SIMFERRY_STACK`, or `"simferry"`.
#' @param accept_licence `[logical(1)]` accept RStudio Server's licence, the GNU Affero General Public License, version
#'   3.
#' @param parameters `[named list]` parameters of the template, such as `list(IdleMinutes = 120, DiskGB = 100)`. Those
#'   that are not given keep their values.
#' @param port `[numeric(1)]` the port of this machine.
#' @return `infra_rstudio_password()`: `[character(1)]`. `infra_rstudio_open()`: `NULL`, invisibly.
#'   `infra_rstudio_delete()`: `[logical(1)]` whether it was carried out, invisibly. The others: a list of class
#'   `simferry_infra` with `name`, `region`, `stack`, `status`, `instance`, `state`, `instance_type`, `[character(1)]`;
#'   `gigabytes` of the disk, `dollars_an_hour`, `dollars_a_month`, `idle_minutes`, `[numeric(1)]`; `NULL` if the answer
#'   was no.
#' @section Errors: `simferry_error_usage`: the licence is not accepted; there is no such stack; the machine does not
#'   run; session-manager-plugin is missing; the port is in use; an update would lose the disk. `simferry_error_stack`,
#'   `simferry_error_credentials`, `simferry_error_aws`: as in [infra_deploy()].
#' @examples
#' \dontrun{
#' infra_rstudio_deploy(accept_licence = TRUE)
#' infra_rstudio_open()
#' infra_rstudio_stop()
#' }
#' @export
infra_rstudio_deploy <- function(name = NULL, accept_licence = FALSE, template = NULL, parameters = list(),
                                 yes = FALSE) {
  found <- dialogue("infra_rstudio_deploy", name = name, accept_licence = isTRUE(accept_licence), template = template,
                    parameters = if (length(parameters)) as.list(parameters), yes = isTRUE(yes))
  invisible(if (!is.null(found)) structure(found, class = "simferry_infra"))
}

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_open <- function(name = NULL, port = 8787) {
  on.exit(bridge("infra_rstudio_close"))
  for (line in bridge("infra_rstudio_open", name = name, port = port)) message(shown(line))
  message("Interrupting ends the connection; RStudio goes on.")
  while (bridge("infra_rstudio_is_open")) Sys.sleep(0.5)
  message("The connection has ended.")
  invisible()
}

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_password <- function(name = NULL) bridge("infra_rstudio_password", name = name)

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_start <- function(name = NULL)
  invisible(structure(dialogue("infra_rstudio_start", name = name), class = "simferry_infra"))

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_stop <- function(name = NULL)
  invisible(structure(dialogue("infra_rstudio_stop", name = name), class = "simferry_infra"))

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_show <- function(name = NULL)
  structure(bridge("infra_rstudio_show", name = name), class = "simferry_infra")

#' @rdname infra_rstudio_deploy
#' @export
infra_rstudio_delete <- function(name = NULL, yes = FALSE)
  invisible(dialogue("infra_rstudio_delete", name = name, yes = isTRUE(yes)))
