#' Performance measures and contrasts
#'
#' `sim_measures()` gives bias, coverage, power and the other measures of a simulation study (Morris, White and Crowther
#' 2019, \doi{10.1002/sim.8086}), each with its Monte Carlo standard error (MCSE). `sim_contrast()` gives the
#' differences between methods, paired on the replications that both have. Both take a run, or any data frame with a row
#' for each estimate.
#'
#' @inheritParams verbs
#' @param run a run, its name, or a data frame.
#' @param estimate `[character]` the column of estimates, or several. `NULL`: p-values alone need none.
#' @param truth `[numeric(1)]` the true value, or `[character(1)]` a parameter or a column; or a table by condition: a
#'   data frame, or `[character(1)]` the path of a CSV or Parquet file, with the column `truth` and those that say which
#'   rows it belongs to: `condition`, parameters, columns of `by`.
#' @param se `[character]` the column of standard errors.
#' @param interval `[character(2)]` the columns of lower and upper ends. `NULL`: the estimate plus and minus a quantile
#'   times the standard error.
#' @param p_value `[character(1)]` the column of p-values.
#' @param df `[numeric(1)]` degrees of freedom, or `[character(1)]` their column: intervals and tests are then those of
#'   t.
#' @param by `[character]` the columns that tell the methods apart. `NULL`: the texts. In `sim_contrast()` also a
#'   parameter, whose values are then compared: paired where the run gave them the same random numbers (`common`), else
#'   as independent.
#' @param reference the method that others are compared with, or one of several estimates. `NULL`: the first one.
#' @param alpha `[numeric]` the level of tests; intervals have the level `1 - alpha[1]`.
#' @param measures `[character]` the wanted measures. `NULL`: all that the columns allow.
#' @param quantiles `[numeric]` probabilities of quantiles, besides the median.
#' @param cases `[character(1)]` `"complete"`: rows count that have estimate and standard error; `"all"`: each measure
#'   counts what it has.
#' @param mcse `[character(1)]` `"jackknife"`: where it is right and the published formula holds for normal estimates
#'   only; `"formula"`: the formulas throughout; `"bootstrap"`: of `own` over 200 drawn sets of replications.
#' @param dropbig `[logical(1)]` leave out estimates far from the others; they are counted.
#' @param winsorize `[numeric(1)]` move estimates beyond so many interquartile ranges; they are counted.
#' @param own `[list]` your own measures by name: functions of a data frame, the rows of one condition and method with
#'   the parameters, that give a number. Their standard errors are the jackknife's, of more than 200 replications with
#'   200 groups of them left out. For medians and quantiles it is wrong: take `mcse = "bootstrap"` for these. A function
#'   is called up to 201 times for each condition and method.
#' @param data_set `[character(1)]` of a data frame: the column that says which rows are of one data set.
#' @return A data frame (a tibble where the package tibble is loaded), which `plot()` draws, see [figures].
#'   Its columns: `condition`, the parameters, the columns of `by`, `measure`, `estimate`, `mcse`,
#'   `replications` (that the estimate stands on), `missing` (replications that did not fail and have no value),
#'   `failed`; of `sim_measures()` also `nominal`, the value of a method without fault; of `sim_contrast()` `reference`
#'   and `paired`.
#' @section Errors: `simferry_error_usage`: a column is not there or does not fit.
#'   `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#' @examplesIf simferry:::python_is_there()
#' study <- function(n, theta) {
#'   x <- rnorm(n, theta)
#'   data.frame(method = c("mean", "median"), est = c(mean(x), median(x)), se = sd(x) / sqrt(n))
#' }
#' run <- sim_run(study, sim_grid(n = c(10, 40), theta = 1), replications = 50, seed = 1, store = tempfile())
#' sim_measures(run, estimate = "est", truth = "theta", se = "se", by = "method", measures = c("bias", "coverage"))
#' # a measure of your own: the mean absolute error
#' miss <- function(rows) mean(abs(rows$est - rows$theta))
#' sim_measures(run, estimate = "est", truth = "theta", measures = "rmse", own = list(absolute_error = miss))
#' sim_contrast(run, estimate = "est", truth = "theta", by = "method", measures = "empirical_se")
#' @export
sim_measures <- function(run, estimate = NULL, truth = NULL, se = NULL, interval = NULL, p_value = NULL, df = NULL,
                         by = NULL, reference = NULL, alpha = NULL, measures = NULL, quantiles = NULL, cases = NULL,
                         mcse = NULL, dropbig = NULL, winsorize = NULL, own = NULL, data_set = NULL, store = NULL) {
  if (length(own)) check_own(own)
  options <- list(estimate = estimate, truth = truth, se = se, interval = interval, p_value = p_value, df = df, by = by,
                  reference = reference, alpha = alpha, measures = measures, quantiles = quantiles, cases = cases,
                  mcse = mcse, dropbig = dropbig, winsorize = winsorize, data_set = data_set)
  out <- do.call(ask_measures, c(list("measures", run, store = store, own = names(own),
                                      back = if (length(own)) values_of(own)), options))
  source <- list(rows = nrow(out), store = store, options = options, own = own)   # for plot()
  source[[if (is.data.frame(run)) "table" else "run"]] <- run
  structure(out, class = c("simferry_measures", class(out)), source = source)
}

#' @rdname sim_measures
#' @export
sim_contrast <- function(run, estimate = NULL, truth = NULL, se = NULL, interval = NULL, p_value = NULL, df = NULL,
                         by = NULL, reference = NULL, alpha = NULL, measures = NULL, cases = NULL, dropbig = NULL,
                         winsorize = NULL, data_set = NULL, store = NULL) {
  out <- ask_measures("contrast", run, estimate = estimate, truth = truth, se = se, interval = interval,
                      p_value = p_value, df = df, by = by, reference = reference, alpha = alpha, measures = measures,
                      cases = cases, dropbig = dropbig, winsorize = winsorize, data_set = data_set, store = store)
  structure(out, class = c("simferry_measures", class(out)))
}

ask_measures <- function(verb, run, ...) {
  if (is.data.frame(run)) as_table(bridge(verb, table = plain_columns(run), ...)) else as_table(ask(verb, run, ...))
}

# The columns of a data frame. Dates and other classes become texts: they may tell rows apart.
plain_columns <- function(table) {
  lapply(as.list(table), function(x) if (is.object(x) && is.atomic(x) && !is.factor(x)) as.character(x) else x)
}

check_own <- function(own) {
  fits <- is.list(own) && all(vapply(own, is.function, NA)) && !is.null(names(own)) && all(nzchar(names(own)))
  if (!fits)
    raise("usage", "own takes functions by the names of their measures", "own = list(name = function(rows) ...)")
  twice <- names(own)[duplicated(names(own))]
  if (length(twice)) raise("usage", paste("own has two measures", quoted(twice[1])))
}

# Answers Python: it first gives the rows of a condition and method, then asks for the values of functions at some rows.
values_of <- function(own) {
  rows <- NULL
  function(asked) {
    if (!is.null(asked$rows)) {
      rows <<- asked$rows
      return(list())
    }
    found <- tryCatch({
      chosen <- if (is.null(asked$at)) rows else rows_at(rows, asked$at)
      allowInterrupts(own[[asked$name]](chosen))
    }, error = identity, interrupt = identity)
    if (inherits(found, "interrupt")) return(list(interrupted = TRUE))
    if (inherits(found, "error")) return(list(error = conditionMessage(found)))
    if (inherits(found, "difftime")) found <- as.numeric(found, units = "secs")
    if (length(found) != 1L || !(is.numeric(found) || is.logical(found)))
      return(list(shown = paste(deparse(found, nlines = 1L), collapse = "")))
    list(value = as.double(found))
  }
}

# As rows[at, ] has them, where some may be there twice, in a tenth of its time.
rows_at <- function(rows, at) {
  out <- lapply(rows, `[`, at)
  attributes(out) <- list(names = names(rows), row.names = .set_row_names(length(at)), class = "data.frame")
  out
}
