#' The report of a run
#'
#' Writes one page of HTML for readers who do not have simferry: the study in words (`study` of [sim_run()], or the
#' table `[study]` of a sweep file), the design, performance measures with their Monte Carlo standard errors, figures,
#' failures and warnings, versions, code, and how to compute it again. The page needs no other file and no network.
#'
#' @inheritParams sim_measures
#' @param run a run, or its name. With `preregistration`: `[character(1)]` the path of a sweep file.
#' @param path `[character(1)]` the page to write, ending in .html.
#' @param estimate,truth,se,interval,p_value,df,by,reference,alpha what the outputs are, where the run does not know it:
#'   see [sim_measures()]. Without an estimate the report has means only.
#' @param preregistration `[logical(1)]` write what is planned, before anything has run.
#' @return The path, invisibly.
#' @section Errors: `simferry_error_usage`: a column is not there or does not fit, or the path does not end in .html.
#'   `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#' @examplesIf simferry:::python_is_there()
#' study <- function(n) c(est = mean(rnorm(n)), se = 1 / sqrt(n))
#' run <- sim_run(study, sim_grid(n = c(10, 40)), replications = 50, seed = 1, store = tempfile())
#' sim_report(run, tempfile(fileext = ".html"), estimate = "est", truth = 0, se = "se")
#' @export
sim_report <- function(run, path, estimate = NULL, truth = NULL, se = NULL, interval = NULL, p_value = NULL, df = NULL,
                       by = NULL, reference = NULL, alpha = NULL, measures = NULL, cases = NULL, dropbig = NULL,
                       winsorize = NULL, preregistration = FALSE, store = NULL)
  invisible(ask("report", run, path = path, estimate = estimate, truth = truth, se = se, interval = interval,
                p_value = p_value, df = df, by = by, reference = reference, alpha = alpha, measures = measures,
                cases = cases, dropbig = dropbig, winsorize = winsorize,
                preregistration = if (!isFALSE(preregistration)) preregistration, store = store))
