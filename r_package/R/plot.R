# Figures of simulation studies as base graphics. What they show comes from Python: report/figure_data.py describes it.

figures_of_measures <- c("forest", "lolly", "nested_loop")
# those of reports
figure_colours <- c("#1f6fb4", "#d1641a", "#7c0370", "#40a59b", "#bc2e69", "#763f0c", "#8a82f6", "#1933b0")
figure_symbols <- c(19L, 17L, 15L, 18L, 1L, 2L, 0L, 5L)
missed_colour <- "#c22f1d"
soft_colour <- "#5a6572"
rule_colour <- "#d5dae0"

#' Figures of a simulation study
#'
#' `plot()` draws with base graphics, `ggplot2::autoplot()` makes a ggplot, where that package is installed. Both show
#' the same, of a run or of what [sim_measures()] gave.
#'
#' * `"zip"`: intervals, ranked by how far the estimate is from the truth in standard errors (Morris, White and Crowther
#'   2019); those that do not cover are red. A dashed line is the nominal coverage, the dotted ones are the exact 95 \%
#'   interval of the coverage.
#' * `"forest"`, `"lolly"`: measures by condition and method, with 1.96 Monte Carlo standard errors to each side.
#' * `"nested_loop"`: a measure over all conditions, in the order of their parameters, which are steps below it (Rücker
#'   and Schwarzer 2014).
#' * `"estimates"`: the single estimates of each method, their mean, and the truth (dashed).
#' * `"convergence"`: a measure as the replications grow, with 1.96 Monte Carlo standard errors to each side.
#' * `"differences"`: of each method from the reference against the mean of both, estimate by estimate (Bland and Altman
#'   1986), with the mean difference and 1.96 standard deviations to each side.
#'
#' A dashed line is the value of a method without fault, where there is one. Where there are more estimates than a
#' figure has room for, it shows some of them, by rank; means and coverage are of all. A message says which conditions
#' and methods are left out.
#'
#' @param x,object what [sim_measures()] or [sim_contrast()] gave, or a run. A part of such a table, and contrasts, have
#'   no single estimates: they are drawn as `"forest"`, `"lolly"` or `"nested_loop"`. [plot.simferry_run()] says what a
#'   run's plot takes besides.
#' @param kind `[character(1)]` `"zip"`, `"forest"`, `"lolly"`, `"nested_loop"`, `"estimates"`, `"convergence"` or
#'   `"differences"`.
#' @param conditions `[numeric]` numbers of conditions. `NULL`: those that there is room for.
#' @param methods `[character]` methods. `NULL`: those that there is room for.
#' @param measures `[character]` measures of `"forest"`, `"lolly"`, `"nested_loop"` and `"convergence"`. `NULL`: those
#'   that [sim_measures()] was asked for, or the first ones.
#' @param ... of `plot()`: given to [graphics::plot.default()], such as `xlim`. Of `autoplot()` of a run: the options of
#'   [sim_measures()].
#' @return `plot()`: what was drawn, invisibly, a data frame with a row for each mark. `autoplot()`: a ggplot.
#' @section Errors: `simferry_error_usage`: there is no such kind, condition, method or measure, or a figure needs a
#'   column that is not there.
#' @examplesIf simferry:::python_is_there()
#' study <- function(n) {
#'   x <- rexp(n)
#'   data.frame(method = c("mean", "median"), est = c(mean(x), median(x)), se = sd(x) / sqrt(n))
#' }
#' run <- sim_run(study, sim_grid(n = c(10, 40)), replications = 50, seed = 1, store = tempfile(),
#'                estimate = "est", truth = 1, se = "se", by = "method")
#' m <- sim_measures(run)
#' plot(m, "zip")
#' plot(m, "forest", measures = c("bias", "coverage"))
#' plot(run, "differences")
#' plot(sim_contrast(run), "forest")
#' @name figures
NULL

#' @rdname figures
#' @export
plot.simferry_measures <- function(x, kind = "forest", conditions = NULL, methods = NULL, measures = NULL, ...) {
  draw(figure_of(source_of(x), kind, conditions, methods, measures), ...)
}

# What a table of measures was made of; of a part of it, which does not say which part it is, and of contrasts: itself.
source_of <- function(x) {
  source <- attr(x, "source")
  if (is.null(source) || source$rows != nrow(x)) list(table = x) else source
}

# list(run or table, store, options, own), as figure_of() takes it, and the arguments that are none of sim_measures().
source_of_run <- function(run, given) {
  is_option <- names(given) %in% setdiff(names(formals(sim_measures)), "run")
  options <- given[is_option]
  source <- list(run = run, options = options[names(options) != "own"], own = options$own)
  list(source = source, rest = given[!is_option])
}

figure_of <- function(source, kind, conditions, methods, measures) {
  options <- source$options
  is_of_measures <- length(kind) == 1L && kind %in% figures_of_measures
  if (!is.null(measures)) options$measures <- measures else if (!is_of_measures) options$measures <- NULL
  own <- if (is_of_measures && any(names(source$own) %in% options$measures)) source$own
  what <- if (is.null(source$table))
    list(run = if (inherits(source$run, "simferry_run")) source$run$folder else source$run, store = source$store)
  else list(table = plain_columns(source$table))
  chosen <- list(kind = kind, conditions = conditions, methods = methods)
  called <- list(own = names(own), back = if (!is.null(own)) values_of(own))
  figure <- do.call(bridge, c(list("figure_data"), chosen, what, options, called))
  shown <- unique(c(figure$panels$method, figure$data$method))
  figure$shown <- figure$methods[figure$methods %in% shown]   # in their order, with the colours of all
  figure
}

draw <- function(figure, ...) {
  settings <- list(...)
  panels <- switch(figure$kind, zip = zip_panels, forest = , lolly = measure_panels, nested_loop = nested_panels,
                   estimates = estimate_panels, convergence = convergence_panels, differences = difference_panels)
  draw_panels(panels(figure, settings))
  invisible(figure$data)
}

# ---- panels and their legend ----

colour_of <- function(figure, methods) figure_colours[(match(methods, figure$methods) - 1L) %% 8L + 1L]
symbol_of <- function(figure, methods) {
  at <- match(methods, figure$methods) - 1L
  figure_symbols[(at + at %/% 8L) %% 8L + 1L]   # with the colour, 64 are different
}

# made: list(panels = functions that draw each; columns; legend = methods, or NULL; figure; left = inches before the
# first panel).
draw_panels <- function(made) {
  several <- length(made$panels) > 1L
  lines <- 0
  old <- graphics::par(mar = c(3.3, 3.4, 2.4, 0.8), mgp = c(2, 0.6, 0), tcl = -0.3)
  on.exit(graphics::par(old))
  if (several) {
    rows <- ceiling(length(made$panels) / made$columns)
    old <- c(graphics::par(mfrow = c(rows, made$columns)), graphics::par(oma = c(0, 0, 0, 0)), old)
  }
  if (!is.null(made$mar)) graphics::par(mar = made$mar)
  columns <- 1L
  if (length(made$legend)) {
    wide <- if (several) graphics::par("din")[1L] else graphics::par("fin")[1L] - sum(graphics::par("mai")[c(2L, 4L)])
    widest <- 0.45 + max(graphics::strwidth(made$legend, units = "inches", cex = 0.9))
    columns <- min(length(made$legend), max(1L, as.integer(wide / widest)))
    lines <- 0.4 + 1.1 * ceiling(length(made$legend) / columns)
    if (!several) graphics::par(mar = graphics::par("mar") + c(0, 0, lines, 0))
  }
  title <- if (length(made$title) && nzchar(made$title)) made$title
  if (!is.null(title) && several) lines <- lines + 1.5
  if (several) graphics::par(omi = c(0, made$left, lines * graphics::par("csi"), 0))
  else if (made$left > 0) {
    mai <- graphics::par("mai")
    graphics::par(mai = c(mai[1L], made$left, mai[3:4]))
  }
  for (panel in made$panels) panel()
  if (!is.null(title)) graphics::mtext(title, outer = several, line = if (several) 0.2 else 1.1, adj = 0)
  if (length(made$legend)) legend_above(made$figure, made$legend, columns, several)
}

legend_above <- function(figure, methods, columns, several) {
  if (several) {   # over the whole page
    old <- graphics::par(fig = c(0, 1, 0, 1), omi = c(0, 0, 0, 0), mai = c(0, 0, 0, 0), new = TRUE)
    on.exit(graphics::par(old["omi"]))
    graphics::plot.new()
    at <- list("top", NULL)
  } else {
    corner <- graphics::par("usr")[c(1L, 4L)]
    title_height <- 2.3 * graphics::par("csi") / graphics::par("pin")[2L] * diff(graphics::par("usr")[3:4])
    at <- list(corner[1L], corner[2L] + title_height)
  }
  graphics::legend(at[[1L]], at[[2L]], methods, col = colour_of(figure, methods), pch = symbol_of(figure, methods),
                   lty = 1, bty = "n", ncol = columns, cex = 0.9, xpd = NA, yjust = 0,
                   text.width = 1.15 * max(graphics::strwidth(methods, cex = 0.9)))
}

# An empty panel with its axes; settings: the user's.
frame_of_panel <- function(x, y, settings, ...) {
  own <- list(...)
  limits <- function(values) {
    some <- values[is.finite(values)]
    if (!length(some)) return(c(0, 1))
    widened(range(some))
  }
  given <- utils::modifyList(list(xlim = limits(x), ylim = limits(y), xlab = "", ylab = "", main = "", cex.main = 1,
                                  font.main = 1, bty = "l"), c(own, settings))
  do.call(graphics::plot, c(list(NA, NA, type = "n"), given))
}

widened <- function(span) {
  if (diff(span) > 0) span else span + c(-1, 1) * if (span[1L] == 0) 1 else abs(span[1L]) / 10
}

# Over a panel: what it is of, and what is known of it, in smaller letters.
head_of_panel <- function(names, says) {
  size <- graphics::par("cex")
  graphics::mtext(paste(names[!is.na(names) & nzchar(names)], collapse = ": "), line = 1.1, adj = 0, cex = size)
  graphics::mtext(says, line = 0.2, adj = 0, cex = 0.85 * size, col = soft_colour)
}

rows_of <- function(table, panel, names = c("condition", "method", "measure")) {
  names <- Reduce(intersect, list(names, names(table), names(panel)))
  fits <- rep(TRUE, nrow(table))
  for (name in names) fits <- fits & table[[name]] == panel[[name]]
  table[fits, , drop = FALSE]
}

panels_of <- function(figure, draw_one) lapply(seq_len(nrow(figure$panels)), function(i) {
  panel <- figure$panels[i, , drop = FALSE]
  rows <- rows_of(figure$data, panel)
  function() draw_one(panel, rows)
})

columns_for <- function(many, side_by_side) {
  if (side_by_side > 1L) return(side_by_side)
  if (many == 1L) 1L else grDevices::n2mfrow(many)[2L]
}

# ---- figures of single estimates ----

zip_panels <- function(figure, settings) {
  span <- range(c(0, figure$data$lower, figure$data$upper), finite = TRUE)
  one <- function(panel, rows) {
    frame_of_panel(span, c(0, 100), settings, xlab = "interval minus truth", ylab = "percentile of |error| / SE")
    head_of_panel(c(panel$label, panel$method), said_of_coverage(panel, nrow(rows)))
    for (covers in c(TRUE, FALSE)) {
      some <- rows[rows$covers == covers, ]
      graphics::segments(some$lower, some$percentile, some$upper, lwd = 0.7,
                         col = if (covers) grDevices::adjustcolor(figure_colours[1L], 0.55) else missed_colour)
    }
    graphics::abline(v = 0, col = "black")
    if (panel$many == 0) return()
    graphics::abline(h = 100 * c(panel$low, panel$high), lty = 3)
    graphics::abline(h = 100 * panel$nominal, lty = 2)
  }
  list(panels = panels_of(figure, one), columns = columns_for(nrow(figure$panels), length(figure$shown)), left = 0)
}

# How many values there are, of how many replications, and how many of them are drawn.
said_of_many <- function(panels, drawn, none) {
  of_all <- ifelse(panels$many < panels$replications, paste(" of", number(panels$replications)), "")
  thinned <- ifelse(drawn < panels$many, paste0(", ", number(drawn), " drawn"), "")
  ifelse(panels$many == 0, none, paste0(number(panels$many), of_all, " replications", thinned))
}

said_of_coverage <- function(panels, drawn) {
  many <- said_of_many(panels, drawn, "no intervals")
  ifelse(panels$many == 0, many, sprintf("coverage %.4f, %s", panels$coverage, many))
}

estimate_panels <- function(figure, settings) {
  methods <- figure$shown
  span <- c(figure$data$estimate, figure$panels$truth, figure$panels$mean)
  conditions <- unique(figure$panels$condition)
  panels <- lapply(conditions, function(condition) function() {
    at <- figure$panels[figure$panels$condition == condition, ]
    frame_of_panel(span, c(0.4, length(methods) + 0.5), settings, yaxt = "n", main = at$label[1L], yaxs = "i",
                   xlab = paste0("estimate (bar: mean", if (any(!is.na(at$truth))) "; dashed: truth", ")"))
    if (length(methods) > 1L)
      graphics::axis(2, rev(seq_along(methods)), methods, las = 1, tick = FALSE, xpd = NA)
    truth <- at$truth[!is.na(at$truth)]
    if (length(truth)) graphics::abline(v = truth[1L], lty = 2)
    for (i in seq_along(methods)) {
      y <- length(methods) + 1 - i
      values <- figure$data$estimate[figure$data$condition == condition & figure$data$method == methods[i]]
      away <- (seq_along(values) * 0.6180339887) %% 1 - 0.5   # the same on each drawing
      graphics::points(values, y + 0.6 * away, pch = 19, cex = 0.35,
                       col = grDevices::adjustcolor(colour_of(figure, methods[i]), 0.5))
      of <- at[at$method == methods[i], ]
      graphics::text(graphics::par("usr")[2L], y - 0.44, said_of_many(of, length(values), "no estimates"),
                     adj = c(1, 0.5), cex = 0.7, col = soft_colour)
      mean <- of$mean
      graphics::segments(mean, y - 0.38, y1 = y + 0.38, lwd = 2)
    }
  })
  left <- if (length(methods) > 1L) label_inches(methods) else 0
  list(panels = panels, columns = columns_for(length(panels), 1L), left = 0,
       mar = c(3.3, 0.6 + max(1, left / graphics::par("csi")), 2.2, 0.8))
}

label_inches <- function(labels) 0.2 + max(graphics::strwidth(labels, units = "inches"), 0)

convergence_panels <- function(figure, settings) {
  one <- function(panel, rows) {
    frame_of_panel(c(0, figure$data$replications), c(rows$lower, rows$upper, panel$nominal), settings,
                   xlab = "replications", ylab = paste(panel$measure, "\u00b1 1.96 MCSE"), main = panel$label)
    if (!is.na(panel$nominal)) graphics::abline(h = panel$nominal, lty = 2)
    for (method in intersect(figure$shown, rows$method)) {
      course <- rows[rows$method == method, ]
      colour <- colour_of(figure, method)
      there <- is.finite(course$lower) & is.finite(course$upper)
      graphics::polygon(c(course$replications[there], rev(course$replications[there])),
                        c(course$lower[there], rev(course$upper[there])), border = NA,
                        col = grDevices::adjustcolor(colour, 0.16))
      graphics::lines(course$replications, course$estimate, col = colour, lwd = 1.5)
      last <- nrow(course)
      graphics::points(course$replications[last], course$estimate[last], col = colour, pch = symbol_of(figure, method))
    }
  }
  list(panels = panels_of(figure, one), left = 0,
       columns = columns_for(nrow(figure$panels), length(unique(figure$panels$measure))),
       legend = if (length(figure$shown) > 1L) figure$shown, figure = figure)
}

difference_panels <- function(figure, settings) {
  one <- function(panel, rows) {
    frame_of_panel(rows$mean, c(0, rows$difference, panel$lower, panel$upper), settings, xlab = "mean of both",
                   ylab = "difference")
    many <- said_of_many(panel, nrow(rows), "no pairs")
    says <- if (panel$many == 0) many else sprintf("mean %.3g, sd %.3g, %s", panel$mean, panel$sd, many)
    head_of_panel(c(panel$label, paste(panel$method, "-", panel$reference)), says)
    graphics::abline(h = 0, col = rule_colour)
    graphics::points(rows$mean, rows$difference, pch = 19, cex = 0.4,
                     col = grDevices::adjustcolor(colour_of(figure, panel$method), 0.5))
    graphics::abline(h = panel$mean, lwd = 1.5)
    graphics::abline(h = c(panel$lower, panel$upper), lty = 2)
  }
  list(panels = panels_of(figure, one), left = 0,
       columns = columns_for(nrow(figure$panels), length(unique(figure$panels$method))))
}

# ---- figures of measures ----

# list(data = with y, the place of each row, from the top; labels of the places; single = methods are the rows).
placed <- function(figure) {
  data <- figure$data
  conditions <- unique(data$condition)
  methods <- figure$shown
  single <- length(conditions) == 1L && length(methods) > 1L
  labels <- if (single) methods else as.character(data$label[match(conditions, data$condition)])
  beside <- (match(data$method, methods) - (length(methods) + 1) / 2) * 0.7 / length(methods)
  row <- if (single) match(data$method, methods) else match(data$condition, conditions) + beside
  data$y <- length(labels) + 1 - row
  list(data = data, labels = labels, single = single, title = if (single) as.character(data$label[1L]) else "")
}

measure_panels <- function(figure, settings) {
  methods <- figure$shown
  at <- placed(figure)
  data <- at$data
  panels <- lapply(seq_len(nrow(figure$panels)), function(i) function() {
    panel <- figure$panels[i, ]
    rows <- data[data$measure == panel$measure & !is.na(data$estimate), ]
    base <- if (figure$kind == "lolly") if (is.na(panel$nominal)) 0 else panel$nominal
    draw_measure(figure, rows, panel, base, at$labels, i == 1L, settings)
  })
  list(panels = panels, columns = nrow(figure$panels), left = label_inches(at$labels), mar = c(3.3, 0.8, 2.2, 0.8),
       legend = if (length(methods) > 1L && !at$single) methods, title = at$title, figure = figure)
}

# base: where the stems of a lolly plot begin.
draw_measure <- function(figure, rows, panel, base, labels, is_first, settings) {
  nominal <- panel$nominal
  frame_of_panel(c(rows$lower, rows$upper, rows$estimate, nominal, base), c(0.5, length(labels) + 0.5), settings,
                 main = panel$measure, xlab = "estimate \u00b1 1.96 MCSE", yaxt = "n", yaxs = "i", bty = "n")
  graphics::abline(h = seq_len(length(labels) + 1L) - 0.5, col = rule_colour)
  if (is_first && any(nzchar(labels)))
    graphics::axis(2, rev(seq_along(labels)), labels, las = 1, tick = FALSE, xpd = NA,
                   cex.axis = min(1, 0.9 * graphics::par("pin")[2L] / graphics::par("csi") / length(labels)))
  if (!is.na(nominal)) graphics::abline(v = nominal, lty = 2)
  colours <- colour_of(figure, rows$method)
  if (!is.null(base)) {
    graphics::segments(base, rows$y, rows$estimate, col = colours)
    for (end in c("lower", "upper"))
      graphics::text(rows[[end]], rows$y, if (end == "lower") "(" else ")", col = colours, cex = 0.8)
  } else {
    there <- which(rows$upper > rows$lower)
    graphics::segments(rows$lower[there], rows$y[there], rows$upper[there], col = colours[there], lwd = 1.5)
  }
  graphics::points(rows$estimate, rows$y, col = colours, pch = symbol_of(figure, rows$method), cex = 0.9)
}

nested_panels <- function(figure, settings) {
  one <- function(panel, rows) {
    span <- span_of(rows, panel$nominal)
    loops <- loops_below(figure, panel$measure)
    many <- max(rows$position)
    frame_of_panel(c(0.5, many + 0.5), c(span, loops$y), settings, xaxt = "n", yaxt = "n", xaxs = "i")
    graphics::title(ylab = panel$measure, line = 3.2)
    graphics::title(xlab = "conditions", line = if (is.null(loops)) 2 else 0.8)
    ticks <- pretty(span)
    graphics::axis(2, ticks[ticks >= span[1L] - 0.02 * diff(span)], las = 1)
    if (is.null(loops)) graphics::axis(1, rows$position, rows$label)
    if (!is.na(panel$nominal)) graphics::abline(h = panel$nominal, lty = 2)
    for (method in figure$shown) {
      some <- rows[rows$method == method, ]
      some <- some[order(some$position), ]
      draw_steps(some$position, some$estimate, col = colour_of(figure, method), lwd = 1.5)
      middle <- unique(round(seq(1, many, length.out = min(many, 12L))))   # symbols tell the lines apart
      graphics::points(middle, some$estimate[match(middle, some$position)], col = colour_of(figure, method),
                       pch = symbol_of(figure, method), cex = 0.8)
    }
    for (parameter in unique(loops$parameter)) {
      some <- loops[loops$parameter == parameter, ]
      draw_steps(some$position, some$y)
      graphics::text(0.5, some$text_y[1L], some$text[1L], adj = c(0, 0.5), cex = 0.7)
    }
  }
  list(panels = panels_of(figure, one), columns = 1L, left = 0, legend = if (length(figure$shown) > 1L) figure$shown,
       figure = figure, mar = c(3.3, 4.6, 0.8, 0.8))
}

span_of <- function(rows, nominal) {
  some <- c(rows$estimate, nominal)
  if (any(is.finite(some))) widened(range(some, finite = TRUE)) else c(0, 1)
}

# The steps of the parameters below a measure: their height (y), and what stands over each of them (text, text_y).
loops_below <- function(figure, measure) {
  if (is.null(figure$loops)) return(NULL)
  panel <- figure$panels[figure$panels$measure == measure, ]
  span <- span_of(figure$data[figure$data$measure == measure, ], panel$nominal)
  out <- figure$loops
  step <- 0.14 * diff(span)
  base <- span[1L] - step * (match(out$parameter, unique(out$parameter)) + 0.2)
  texts <- vapply(split(out$value, out$parameter), function(values) paste(unique(values), collapse = ", "), "")
  out$y <- base + 0.4 * step * out$level
  out$text_y <- base + 0.68 * step
  out$text <- vapply(paste0(out$parameter, ": ", texts[out$parameter]), shorter, "", most = 90L, USE.NAMES = FALSE)
  out$measure <- panel$measure
  out
}

# Each value is level over its position.
draw_steps <- function(position, value, ...) {
  graphics::lines(rep(position, each = 2L) + c(-0.5, 0.5), rep(value, each = 2L), ...)
}

shorter <- function(text, most) if (nchar(text) > most) paste0(substr(text, 1L, most - 3L), "...") else text
