# The figures of plot.R as ggplots. The methods are registered once ggplot2 is loaded.

#' @rdname figures
#' @exportS3Method ggplot2::autoplot
autoplot.simferry_measures <- function(object, kind = "forest", # nolint: object_name.
                                       conditions = NULL, methods = NULL, measures = NULL, ...) {
  as_ggplot(figure_of(source_of(object), kind, conditions, methods, measures))
}

#' @rdname figures
#' @exportS3Method ggplot2::autoplot
autoplot.simferry_run <- function(object, kind = "forest", # nolint: object_name.
                                  conditions = NULL, methods = NULL, measures = NULL, ...) {
  given <- source_of_run(object, list(...))
  if (length(given$rest)) raise("usage", paste("there is no option", quoted(names(given$rest)[1L])))
  as_ggplot(figure_of(given$source, kind, conditions, methods, measures))
}

utils::globalVariables(".data")

as_ggplot <- function(figure) {
  for (name in intersect(c("data", "panels"), names(figure))) {   # methods and conditions in their order
    table <- figure[[name]]
    if (!is.null(table$method)) table$method <- factor(table$method, figure$shown)
    if (!is.null(table$label)) table$label <- factor(table$label, unique(figure$data$label))
    if (!is.null(table$measure)) table$measure <- factor(table$measure, unique(figure$panels$measure))
    figure[[name]] <- table
  }
  draw <- switch(figure$kind, zip = zip_layers, forest = , lolly = measure_layers, nested_loop = nested_layers,
                 estimates = estimate_layers, convergence = convergence_layers, differences = difference_layers)
  one <- if (nlevels(figure$data$label) == 1L && !figure$kind %in% figures_of_measures) levels(figure$data$label)
  ggplot2::ggplot(figure$data) + draw(figure) + ggplot2::theme_bw() +
    (if (length(one) && nzchar(one)) ggplot2::labs(subtitle = one)) +
    ggplot2::theme(panel.grid.minor = ggplot2::element_blank(), legend.position = "top")
}

aes <- function(...) ggplot2::aes(...)

# Panels by columns that have several values, also those without a mark.
facets <- function(figure, by, scales = "fixed", columns = NULL) {
  by <- Filter(function(name) nlevels(figure$data[[name]]) > 1L, by)
  if (!length(by)) return(NULL)
  if (!is.null(columns)) columns <- max(1L, nlevels(figure$data[[columns]]))
  in_a_line <- ggplot2::label_wrap_gen(60, multi_line = FALSE)
  ggplot2::facet_wrap(by, scales = scales, ncol = columns, drop = FALSE, labeller = in_a_line)
}

methods_scale <- function(figure, aesthetics = c("colour", "fill", "shape")) {
  methods <- figure$methods
  several <- length(figure$shown) > 1L
  guide <- if (several) "legend" else "none"
  colours <- stats::setNames(colour_of(figure, methods), methods)
  shapes <- stats::setNames(symbol_of(figure, methods), methods)
  lapply(aesthetics, function(one) {
    values <- if (one == "shape") shapes else colours
    ggplot2::scale_discrete_manual(one, values = values, breaks = figure$shown, name = NULL, guide = guide)
  })
}

nominal_line <- function(panels, aesthetic) {
  some <- panels[!is.na(panels$nominal), , drop = FALSE]
  if (aesthetic == "x") ggplot2::geom_vline(aes(xintercept = .data$nominal), some, linetype = 2)
  else ggplot2::geom_hline(aes(yintercept = .data$nominal), some, linetype = 2)
}

# How many marks each panel has.
drawn_in <- function(figure)
  vapply(seq_len(nrow(figure$panels)), function(i) nrow(rows_of(figure$data, figure$panels[i, ])), 0L)

zip_layers <- function(figure) {
  panels <- figure$panels[figure$panels$many > 0, ]
  colours <- c("TRUE" = grDevices::adjustcolor(figure_colours[1L], 0.55), "FALSE" = missed_colour)
  ends <- rbind(cbind(panels, at = panels$low), cbind(panels, at = panels$high))
  says <- said_of_coverage(figure$panels, drawn_in(figure))
  said <- cbind(figure$panels, says = gsub(", ", "\n", says, fixed = TRUE))
  list(
    ggplot2::geom_segment(aes(x = .data$lower, xend = .data$upper, y = .data$percentile, yend = .data$percentile,
                              colour = factor(.data$covers, c(TRUE, FALSE))), linewidth = 0.3),
    ggplot2::geom_vline(xintercept = 0),
    ggplot2::geom_hline(aes(yintercept = 100 * .data$nominal), panels, linetype = 2),
    ggplot2::geom_hline(aes(yintercept = 100 * .data$at), ends, linetype = 3),
    ggplot2::geom_text(aes(x = Inf, y = 0, label = .data$says), said, hjust = 1.05, vjust = 0, size = 2.7),
    ggplot2::scale_colour_manual(values = colours, labels = c("covers", "does not cover"), name = NULL, drop = FALSE),
    ggplot2::guides(colour = ggplot2::guide_legend(override.aes = list(linewidth = 1.5))),
    facets(figure, c("label", "method"), columns = "method"),
    ggplot2::labs(x = "interval minus truth", y = "percentile of |error| / SE")
  )
}

estimate_layers <- function(figure) {
  data <- figure$data
  at <- stats::ave(seq_len(nrow(data)), data$condition, data$method, FUN = seq_along)
  data$away <- 0.6 * ((at * 0.6180339887) %% 1 - 0.5)
  place <- function(table) length(figure$shown) + 1 - match(table$method, figure$shown)
  data$y <- place(data) + data$away
  said <- cbind(figure$panels, says = said_of_many(figure$panels, drawn_in(figure), "no estimates"))
  said$y <- place(said) - 0.45
  panels <- figure$panels[figure$panels$many > 0, ]
  panels$y <- place(panels)
  truth <- unique(figure$panels[!is.na(figure$panels$truth), c("condition", "label", "truth")])
  several <- length(figure$shown) > 1L
  list(
    ggplot2::geom_vline(aes(xintercept = .data$truth), truth, linetype = 2),
    ggplot2::geom_point(aes(x = .data$estimate, y = .data$y, colour = .data$method), data, size = 0.5, alpha = 0.5),
    ggplot2::geom_segment(aes(x = .data$mean, xend = .data$mean, y = .data$y - 0.38, yend = .data$y + 0.38), panels,
                          linewidth = 1),
    ggplot2::geom_text(aes(x = Inf, y = .data$y, label = .data$says), said, hjust = 1.02, size = 2.5,
                       colour = soft_colour),
    ggplot2::scale_y_continuous(breaks = if (several) rev(seq_along(figure$shown)), labels = if (several) figure$shown,
                                name = NULL),
    methods_scale(figure, "colour"), ggplot2::guides(colour = "none"), facets(figure, "label"),
    ggplot2::labs(x = paste0("estimate (bar: mean", if (nrow(truth)) "; dashed: truth", ")"))
  )
}

convergence_layers <- function(figure) {
  measures <- levels(figure$data$measure)
  list(
    nominal_line(figure$panels, "y"),
    ggplot2::geom_ribbon(aes(x = .data$replications, ymin = .data$lower, ymax = .data$upper, fill = .data$method),
                         alpha = 0.16),
    ggplot2::geom_line(aes(x = .data$replications, y = .data$estimate, colour = .data$method)),
    methods_scale(figure, c("colour", "fill")),
    facets(figure, c("label", "measure"), "free_y", if (length(measures) > 1L) "measure"),
    ggplot2::labs(x = "replications", y = paste(if (length(measures) > 1L) "measure" else measures, "\u00b1 1.96 MCSE"))
  )
}

difference_layers <- function(figure) {
  panels <- figure$panels[figure$panels$many > 0, ]
  ends <- rbind(cbind(panels, at = panels$lower), cbind(panels, at = panels$upper))
  list(
    ggplot2::geom_hline(yintercept = 0, colour = rule_colour),
    ggplot2::geom_point(aes(x = .data$mean, y = .data$difference, colour = .data$method), size = 0.6, alpha = 0.5),
    ggplot2::geom_hline(aes(yintercept = .data$mean), panels),
    ggplot2::geom_hline(aes(yintercept = .data$at), ends, linetype = 2),
    methods_scale(figure, "colour"), ggplot2::guides(colour = "none"),
    facets(figure, c("label", "method"), "free", if (length(figure$shown) > 1L) "method"),
    ggplot2::labs(x = "mean of both", y = paste("difference from", figure$panels$reference[1L]))
  )
}

measure_layers <- function(figure) {
  at <- placed(figure)
  data <- at$data
  data$base <- figure$panels$nominal[match(data$measure, figure$panels$measure)]
  data$base[is.na(data$base)] <- 0
  of <- function(...) aes(y = .data$y, colour = .data$method, ...)
  line <- if (figure$kind == "lolly") of(x = .data$base, xend = .data$estimate, yend = .data$y)
    else of(x = .data$lower, xend = .data$upper, yend = .data$y)
  list(
    nominal_line(figure$panels, "x"),
    ggplot2::geom_segment(line, data, na.rm = TRUE),
    if (figure$kind == "lolly") lapply(c("lower", "upper"), function(end)
      ggplot2::geom_text(of(x = .data[[end]]), data, label = if (end == "lower") "(" else ")", size = 3, na.rm = TRUE,
                         show.legend = FALSE)),
    ggplot2::geom_point(of(x = .data$estimate, shape = .data$method), data, na.rm = TRUE),
    ggplot2::scale_y_continuous(breaks = rev(seq_along(at$labels)), labels = at$labels, name = NULL,
                                limits = c(0.5, length(at$labels) + 0.5), expand = c(0, 0)),
    methods_scale(figure, c("colour", "shape")),
    if (at$single) ggplot2::guides(colour = "none", shape = "none"),
    if (nlevels(data$measure) > 1L) ggplot2::facet_wrap("measure", scales = "free_x", nrow = 1L),
    ggplot2::labs(x = paste(if (nlevels(data$measure) > 1L) "estimate" else levels(data$measure), "\u00b1 1.96 MCSE"),
                  subtitle = if (nzchar(at$title)) at$title)
  )
}

nested_layers <- function(figure) {
  above <- function(limits) {   # of an axis no values where the steps are: loops_below()
    span <- limits[2L] - diff(limits) / c(1 + 0.14 * (length(unique(figure$loops$parameter)) + 0.2), Inf)
    ticks <- pretty(span)
    ticks[ticks >= span[1L] & ticks <= span[2L]]
  }
  steps <- function(table) table[rep(seq_len(nrow(table)), each = 2L), ]
  edges <- function(table) rep(c(-0.5, 0.5), length.out = nrow(table)) + table$position
  data <- steps(figure$data[order(figure$data$position), ])
  data$edge <- edges(data)
  below <- do.call(rbind, lapply(levels(data$measure), function(measure) loops_below(figure, measure)))
  loops <- if (!is.null(below)) {
    lines <- steps(below)
    lines$edge <- edges(lines)
    texts <- below[below$position == min(below$position), ]
    list(ggplot2::geom_line(aes(x = .data$edge, y = .data$y, group = .data$parameter), lines),
         ggplot2::geom_text(aes(x = 0.5, y = .data$text_y, label = .data$text), texts, hjust = 0, size = 2.8))
  }
  list(
    loops,
    nominal_line(figure$panels, "y"),
    ggplot2::geom_line(aes(x = .data$edge, y = .data$estimate, colour = .data$method), data, na.rm = TRUE),
    methods_scale(figure, "colour"),
    if (!is.null(below)) ggplot2::scale_y_continuous(breaks = above),
    ggplot2::scale_x_continuous(breaks = if (is.null(below)) data$position, labels = if (is.null(below)) data$label,
                                expand = c(0.01, 0)),
    if (nlevels(data$measure) > 1L) ggplot2::facet_wrap("measure", scales = "free_y", ncol = 1L),
    ggplot2::labs(x = "conditions", y = if (nlevels(data$measure) > 1L) NULL else levels(data$measure))
  )
}
