# What replications returned, as rows: tables of a block, one for each distinct set of columns.

# A data frame's worth of columns (a list of vectors of equal length), NULL for nothing, or an "object" to be kept
# whole.
as_columns <- function(value) {
  if (is.null(value)) return(NULL)
  if (is.function(value) || inherits(value, "connection") || typeof(value) %in% c("externalptr", "environment"))
    refuse("the simulation returned a ", class(value)[1],
           ", which can't be kept: return numbers, a named vector, a list or a data frame")
  if (is.matrix(value) && is_plain(value)) value <- as.data.frame(value, stringsAsFactors = FALSE)
  if (is.data.frame(value)) {
    if (!all(vapply(value, is_plain, NA)) || any(vapply(value, is.matrix, NA))) return("object")
    columns <- lapply(value, plain)
    return(if (length(columns)) with_row_names(structure(columns, names = output_names(value)),
                                               attr(value, "row.names")) else NULL)
  }
  if (is_plain(value)) {
    n <- length(value)
    if (n == 0L) return(NULL)
    return(structure(as.list(plain(value)), names = output_names(value)))
  }
  if (is.list(value)) {
    if (any(bad <- vapply(value, function(v) is.function(v) || inherits(v, "connection") || typeof(v) == "externalptr",
                          NA)))
      refuse("the simulation returned a list with a ", class(value[bad][[1]])[1],
             ", which can't be kept: return numbers, strings and logicals")
    if (!length(value)) return(NULL)
    if (all(vapply(value, function(v) is_plain(v) && length(v) == 1L, NA)))
      return(structure(lapply(value, plain), names = output_names(value)))
  }
  "object"
}

# Row names that are numbers are R's own, or were when the rows were picked; those that are text tell rows apart.
with_row_names <- function(columns, rows) {
  if (!is.character(rows)) return(columns)
  labels <- make.unique(c(names(columns), "row_name"), sep = "_")
  c(structure(list(rows), names = labels[length(labels)]), columns)
}

is_plain <- function(x) is.atomic(x) && !is.null(x)

# factors, dates: as they print
plain <- function(x) if (is.object(x) && !inherits(x, "table") || is.complex(x)) as.character(x) else as.vector(x)

output_names <- function(x) {
  labels <- names(x)
  if (is.null(labels)) return(if (length(x) == 1L) "value" else paste0("value_", seq_along(x)))
  labels <- utf8(labels)
  empty <- is.na(labels) | !nzchar(labels)
  labels[empty] <- paste0("value_", which(empty))
  taken <- labels %in% c("condition", "replication")   # every table of results has such columns
  labels[taken] <- paste0(labels[taken], "_result")
  make.unique(labels)
}

refuse <- function(...) {
  stop(structure(class = c("simferry_refusal", "error", "condition"), list(message = paste0(...), call = NULL)))
}

# One table for each distinct set of columns and their kinds (beside a text R would write a number with 15 digits).
# condition, replication: integers; values: what the replications returned.
result_tables <- function(condition, replication, values) {
  first <- values[[1]]
  # the common case, fast: every value is a double vector with the same names
  if (is.double(first) && !is.object(first) && is.null(dim(first)) && length(first)) {
    labels <- names(first)
    n <- length(first)
    if (length(attributes(first)) == !is.null(labels) && all(lengths(values) == n) &&
        all(vapply(values, is.double, NA)) &&
        length(unique(lapply(values, attributes))) == 1L) {
      all_values <- matrix(unlist(values, use.names = FALSE), nrow = n)
      columns <- lapply(seq_len(n), function(i) all_values[i, ])
      names(columns) <- output_names(first)
      return(list(list(name = "results", columns = c(list(condition = condition, replication = replication), columns))))
    }
  }
  rows <- lapply(values, function(value) if (is.list(value)) value else as_columns(value))
  keep <- which(vapply(rows, is.list, NA))
  lapply(unname(split(keep,
                      vapply(rows[keep], function(r) paste(escape(names(r)), vapply(r, typeof, ""), collapse = "\n"),
                             ""))), function(at) {
    counts <- vapply(rows[at], function(r) length(r[[1]]), 1L)
    columns <- lapply(seq_along(rows[[at[1]]]), function(j) unlist(lapply(rows[at], `[[`, j), use.names = FALSE))
    names(columns) <- names(rows[[at[1]]])
    list(name = "results",
         columns = c(list(condition = rep(condition[at], counts), replication = rep(replication[at], counts)), columns))
  })
}
