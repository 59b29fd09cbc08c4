# record: of the bridge, with the run's id, its folder (a path or an address in S3), its name in commands (handle), and
# its seed.
new_run <- function(record)
  structure(class = "simferry_run", list(id = record$id, folder = record$folder, handle = record$handle,
                                         seed = record$seed))

#' @export
format.simferry_run <- function(x, ...) {
  now <- tryCatch(ask("status", x), simferry_error_run_not_found = function(e) NULL)
  if (is.null(now)) return(c(paste("<simferry run>", x$id), paste("its folder is gone:", x$folder)))
  parameters <- if (length(now$parameters)) paste0(" (", paste(now$parameters, collapse = ", "), ")")
  c(paste0("<simferry run> ", x$id, if (nzchar(now$name)) paste0(" (", now$name, ")")),
    if (nzchar(now$note)) paste("note:", now$note),
    paste0(counted(now$conditions, "condition"), parameters, " x ", replications_shown(now$replications),
           ", seed ", x$seed),
    paste0(now$state, ": ", number(now$done), " of ", counted(now$total, "replication"), " done, ", number(now$failed),
           " failed"),
    if (nzchar(now$precision)) now$precision,
    if (nzchar(now$said)) paste("jobs:", now$said),
    paste("in", x$folder))
}

#' @export
print.simferry_run <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

#' @export
summary.simferry_run <- function(object, by = NULL, ...) sim_summary(object, by = by)

#' @importFrom utils head
#' @export
head.simferry_run <- function(x, ...) utils::head(sim_results(x), ...)

#' @importFrom utils tail
#' @export
tail.simferry_run <- function(x, ...) utils::tail(sim_results(x), ...)

#' @export
as.data.frame.simferry_run <- function(x, ...) as.data.frame(sim_results(x))

#' Plot a run
#'
#' A panel for each output: its mean in each condition, with 1.96 Monte Carlo standard errors to each side. The first
#' parameter with several values is the axis; the combinations of the others are lines. With a `kind` it is one of the
#' [figures] of simulation studies.
#'
#' @param x a run.
#' @param kind `[character(1)]` a figure of measures or of single estimates instead: see [figures].
#' @param output `[character]` names of the outputs to draw. `NULL`: all.
#' @param parameter `[character(1)]` name of the parameter on the x axis. `NULL`: the first numeric one with several
#'   values.
#' @param by `[character]` outputs that distinguish the rows of one replication: each of their values gets its own line.
#'   See [sim_summary()].
#' @param conditions,methods,measures of a `kind`: see [figures].
#' @param ... given to [graphics::plot.default()]; with a `kind` also what the outputs are, where the run does not know
#'   it, and other options of [sim_measures()].
#' @return What was drawn, invisibly: see [figures]; without a `kind` the summary, see [sim_summary()].
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n, mu) mean(rnorm(n, mu))
#' design <- sim_grid(n = c(10, 20, 40), mu = 0:1)
#' run <- sim_run(draw, design, replications = 20, seed = 1, store = tempfile())
#' plot(run)
#' @export
plot.simferry_run <- function(x, kind = NULL, output = NULL, parameter = NULL, by = NULL, conditions = NULL,
                              methods = NULL, measures = NULL, ...) {
  if (!is.null(kind)) {
    given <- source_of_run(x, c(if (!is.null(by)) list(by = by), list(...)))
    return(do.call(draw, c(list(figure_of(given$source, kind, conditions, methods, measures)), given$rest)))
  }
  table <- as.data.frame(sim_summary(x, by = by))
  parameters <- as.character(ask("open", x)$parameters)
  outputs <- unique(stats::na.omit(table$output))
  if (!is.null(output)) {
    if (length(unknown <- setdiff(output, outputs)))
      raise("usage", paste0("there is no output ", unknown[1]),
            paste0("The outputs are: ", paste(outputs, collapse = ", ")))
    outputs <- output
  }
  if (!length(outputs)) raise("usage", "there is no numeric output to plot", "sim_results(run) shows what came out.")
  several <- Filter(function(name) length(unique(table[[name]])) > 1, parameters)
  if (is.null(parameter))
    parameter <- c(Filter(function(name) is.numeric(table[[name]]), several), several, "condition")[1]
  if (!parameter %in% c(parameters, "condition"))
    raise("usage", paste0("there is no parameter ", parameter),
          paste0("The parameters are: ", paste(parameters, collapse = ", ")))
  others <- setdiff(several, parameter)
  labels <- setdiff(names(table),
                    c(parameters, "condition", "replications", "failed", "missing", "warnings", "output", "mean",
                      "sd", "mcse"))
  lines <- c(others, labels)
  old <- graphics::par(mar = c(4.1, 4.1, 2.1, 1.1))
  # of a single panel the user's own layout is kept
  if (length(outputs) > 1)
    old <- c(graphics::par(mfrow = grDevices::n2mfrow(length(outputs),
                                                      asp = do.call(`/`, as.list(graphics::par("din"))))), old)
  on.exit(graphics::par(old))
  for (name in outputs) draw_output(table[which(table$output == name), ], name, parameter, lines, ...)
  invisible(table)
}

draw_output <- function(table, output, parameter, others, ...) {
  at <- table[[parameter]]
  levels <- if (is.character(at)) unique(at)
    else if (!is.numeric(at) || !all(is.finite(at))) sort(unique(at), na.last = TRUE)
  at <- if (is.null(levels)) at else match(at, levels)
  half <- 1.96 * ifelse(is.na(table$mcse), 0, table$mcse)
  span <- range(table$mean - half, table$mean + half, finite = TRUE)
  lines <- if (length(others)) interaction(table[others], sep = ", ", drop = TRUE, lex.order = TRUE)
    else factor(rep("", nrow(table)))
  kind <- seq_len(nlevels(lines)) - 1L
  colour <- kind %% 8L + 1L
  symbol <- c(19L, 17L, 15L, 4L, 1L, 2L, 0L, 3L)[kind %/% 8L %% 8L + 1L]
  columns <- 1L
  if (length(others)) {   # the legend stands above the panel, where it covers nothing
    inches <- graphics::par("fin")[1L] - sum(graphics::par("mai")[c(2L, 4L)])
    widest <- 0.4 + 0.8 * graphics::par("cin")[1L] * (2 + max(nchar(levels(lines))))   # inches of an entry
    columns <- min(nlevels(lines), max(1L, as.integer(inches / widest)))
    old <- graphics::par(mar = c(4.1, 4.1, 2.1 + 0.9 * (1 + ceiling(nlevels(lines) / columns)), 1.1))
    on.exit(graphics::par(old))
  }
  settings <- utils::modifyList(list(xlab = parameter, ylab = paste("mean of", output), ylim = span), list(...))
  do.call(graphics::plot,
          c(list(range(at), range(table$mean, finite = TRUE), type = "n", xaxt = if (is.null(levels)) "s" else "n"),
            settings))
  if (!is.null(levels)) graphics::axis(1, seq_along(levels), ifelse(is.na(levels), "NA", as.character(levels)))
  for (i in seq_along(levels(lines))) {
    rows <- which(lines == levels(lines)[i])
    rows <- rows[order(at[rows])]
    graphics::points(at[rows], table$mean[rows], type = "b", pch = symbol[i], col = colour[i])
    spread <- rows[half[rows] > 0]
    graphics::segments(at[spread], table$mean[spread] - half[spread], y1 = table$mean[spread] + half[spread],
                       col = colour[i])
  }
  corner <- graphics::par("usr")[c(1L, 4L)]
  if (length(others))
    graphics::legend(corner[1L], corner[2L], levels(lines), title = paste(others, collapse = ", "), col = colour,
                     lty = 1, pch = symbol, bty = "n",
                     ncol = columns, yjust = 0, xpd = NA, cex = 0.8)
}
