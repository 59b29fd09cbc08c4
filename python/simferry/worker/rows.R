# What replications returned, as rows: tables of a block, one for each distinct set of columns.

# A data frame's worth of columns (a list of vectors of equal length), NULL for nothing, or an "object" to be kept
# whole.
as_columns <- function(value) {
  if (is.null(value)) return(NULL)
  if (inherits(value, "try-error") || inherits(value, "error")) fail_with(value)
  if (is.function(value) || inherits(value, "connection") || typeof(value) %in% c("externalptr", "environment"))
    refuse("the simulation returned ", an(class(value)[1]),
           ", which can't be kept: return numbers, a named vector, a list or a data frame")
  if (is.matrix(value)) refuse_outputs(ncol(value))
  else if (is.null(dim(value)) && !is.data.frame(value)) refuse_outputs(length(value))
  if (is.matrix(value) && is_plain(value)) value <- as.data.frame(value, stringsAsFactors = FALSE)
  if (is.data.frame(value)) {
    if (any(vapply(value, function(v) length(dim(v)) > 1L, NA))) return("object")
    columns <- lapply(value, cells)
    if (!length(columns)) return(NULL)
    names(columns) <- output_names(value)
    columns <- without_odd(columns, value)
    if (!is.list(columns)) return(columns)
    return(keep_odd(with_row_names(columns, attr(value, "row.names")), columns))
  }
  if (inherits(value, "POSIXlt")) value <- as.POSIXct(value)
  if (is_plain(value)) {
    n <- length(value)
    if (n == 0L) return(NULL)
    made <- plain(value)
    each <- if (is.null(attr(made, "form"))) as.list(made) else lapply(seq_len(n), function(i) like(made[i], made))
    return(structure(each, names = output_names(value)))
  }
  if (is.list(value)) {
    if (any(bad <- vapply(value, function(v) is.function(v) || inherits(v, "connection") || typeof(v) == "externalptr",
                          NA)))
      refuse("the simulation returned a list with ", an(class(value[bad][[1]])[1]),
             ", which can't be kept: return numbers, strings and logicals")
    if (!length(value)) return(NULL)
    if (!is.object(value) && !is.null(names(value)) ||
          all(vapply(value, function(v) is_plain(v) && length(v) == 1L, NA)))
      return(without_odd(structure(lapply(value, cell), names = output_names(value)), value))
  }
  "object"
}

# n: outputs of one row. The header of a block names each.
refuse_outputs <- function(n) if (n > 1e6)
  refuse("the simulation returned ", format(n, big.mark = ",", scientific = FALSE),
         " outputs in a row, and a row has at most 1,000,000: return a data frame with more rows, ",
         "or write the values to a file")

# A value of a list as a column of one row; NULL where no column holds it.
cell <- function(v) {
  if (inherits(v, "try-error")) return(NULL)   # its text would make texts of the numbers of other replications
  if (inherits(v, "POSIXlt")) v <- as.POSIXct(v)
  if (is_plain(v) && length(v) == 1L && length(dim(v)) < 2L) plain(v) else list_column(list(v))
}

# A column of a data frame; NULL where it holds what no cell does.
cells <- function(column) {
  if (inherits(column, "POSIXlt")) column <- as.POSIXct(column)
  if (is_plain(column)) plain(column)
  else if (is.list(column) && (!is.object(column) || inherits(column, c("AsIs", "vctrs_list_of"))))
    list_column(unclass(column))
}

# Vectors, and NULL, as a column of lists: the bytes of each, with the kind of all in "form". NULL where they are no
# plain vectors of one kind. Vectors with names are not: a column of lists has none.
list_column <- function(vectors) {
  kinds <- c("logical", "integer", "double", "character")
  is_vector <- function(v) is.null(v) || typeof(v) %in% kinds && is.null(attributes(v))
  if (!all(vapply(vectors, is_vector, NA))) return(NULL)
  found <- unique(match(vapply(vectors, function(v) if (is.null(v)) "logical" else typeof(v), ""), kinds))
  if (4L %in% found && any(found %in% 2:3)) return(NULL)
  kind <- kinds[max(found, 1L)]
  structure(lapply(unname(vectors), function(v) if (!is.null(v)) bytes_of_list(as.vector(v, kind))),
            form = paste("list", if (kind == "character") "string" else kind))
}

# The columns that are there, with the classes of the others as attribute "odd"; "object" where there are none.
without_odd <- function(columns, value) {
  odd <- vapply(columns, is.null, NA)
  if (!any(odd)) return(columns)
  if (all(odd)) return("object")
  kinds <- vapply(which(odd), function(i) {
    v <- .subset2(value, i)
    paste0(class(v)[1L], if (is_plain(v) && !is.null(names(v))) " with names")
  }, "")
  structure(columns[!odd], odd = structure(kinds, names = names(columns)[odd]))
}

keep_odd <- function(columns, from) {
  attr(columns, "odd") <- attr(from, "odd")
  columns
}

# Row names that are numbers are R's own, or were when the rows were picked; those that are text tell rows apart.
with_row_names <- function(columns, rows) {
  if (!is.character(rows)) return(columns)
  labels <- make.unique(c(names(columns), "row_name"), sep = "_")
  c(structure(list(rows), names = labels[length(labels)]), columns)
}

is_plain <- function(x) is.atomic(x) && !is.null(x)

# A vector without attributes but "form", which tells what its values stand for (blocks.py lists the forms), and the
# levels of a factor. Objects of other classes are as they print.
plain <- function(x) {
  if (!is.object(x) && !is.complex(x) || inherits(x, "table")) return(as.vector(x))
  bare <- as.vector(unclass(x))
  if (is.factor(x) && is.character(levels <- attr(x, "levels")))
    return(structure(utf8(levels[bare]), form = if (is.ordered(x)) "ordered" else "factor", levels = utf8(levels)))
  if (inherits(x, "integer64") && isNamespaceLoaded("bit64")) return(structure(as.character(x), form = "long"))
  if (!is.numeric(bare)) return(as.character(x))
  if (inherits(x, "Date")) return(structure(as.double(bare), form = "date"))
  if (inherits(x, "POSIXct")) {
    zone <- attr(x, "tzone")[1L]
    return(structure(as.double(bare), form = paste("time", if (is.character(zone) && nzchar(zone)) zone else "UTC")))
  }
  seconds <- c(secs = 1, mins = 60, hours = 3600, days = 86400, weeks = 604800)
  if (inherits(x, "difftime") && length(unit <- attr(x, "units")) == 1L && unit %in% names(seconds))
    return(structure(as.double(bare) * seconds[[unit]], form = "seconds"))
  as.character(x)
}

like <- function(x, model) {
  attributes(x) <- NULL
  if (is.null(form <- attr(model, "form"))) x else structure(x, form = form, levels = attr(model, "levels"))
}

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

# A noun with its article.
an <- function(noun) paste(if (grepl("^[aeiou]", noun, ignore.case = TRUE)) "an" else "a", noun)

refuse <- function(...) {
  stop(structure(class = c("simferry_refusal", "error", "condition"), list(message = paste0(...), call = NULL)))
}

# An error that the simulation caught, and returned: of try(), or of tryCatch(error = identity).
fail_with <- function(value) {
  e <- if (inherits(value, "try-error")) attr(value, "condition") else value
  if (inherits(e, "condition"))
    stop(structure(class = c("simferry_refusal", "error", "condition"),
                   list(message = message_of(e), call = tryCatch(conditionCall(e), error = function(e) NULL))))
  refuse("the simulation returned an error", if (is.character(value)) c(": ", value))
}

# One table for each distinct set of columns and their kinds (beside a text R would write a number with 15 digits).
# condition, replication: integers; packs: what the replications returned (see packed()).
result_tables <- function(condition, replication, packs) {
  alike <- packs[[1L]][c("labels", "width")]
  same <- function(pack) !is.null(pack$numbers) && identical(pack[c("labels", "width")], alike)
  if (all(vapply(packs, same, NA)))   # the common case, fast
    all_in_one <- list(numbers = unlist(lapply(packs, `[[`, "numbers"), use.names = FALSE), labels = alike$labels,
                       width = alike$width)
  else {
    values <- unlist(lapply(packs, unpacked), recursive = FALSE, use.names = FALSE)
    all_in_one <- packed(values)
  }
  if (!is.null(all_in_one$numbers)) {
    numbers <- matrix(all_in_one$numbers, nrow = all_in_one$width)
    columns <- lapply(seq_len(nrow(numbers)), function(i) numbers[i, ])
    names(columns) <- output_names(structure(numeric(length(columns)), names = all_in_one$labels))
    return(list(list(name = "results", columns = c(list(condition = condition, replication = replication), columns))))
  }
  rows <- lapply(values, function(value) if (is.list(value)) value else as_columns(value))
  keep <- which(vapply(rows, is.list, NA))
  kind_of <- function(column) paste(typeof(column), attr(column, "form"))
  lapply(unname(split(keep,
                      vapply(rows[keep], function(r) paste(escape(names(r)), vapply(r, kind_of, ""), collapse = "\n"),
                             ""))), function(at) {
    counts <- vapply(rows[at], function(r) length(r[[1]]), 1L)
    columns <- lapply(seq_along(rows[[at[1]]]), function(j) one_column(lapply(rows[at], `[[`, j)))
    names(columns) <- names(rows[[at[1]]])
    list(name = "results",
         columns = c(list(condition = rep(condition[at], counts), replication = rep(replication[at], counts)), columns))
  })
}

# Parts of one kind and form. The levels of factors, of parts with a value, are sorted where they differ, so that they
# do not depend on the order of the parts; such levels are not ordered.
one_column <- function(parts) {
  form <- attr(parts[[1L]], "form")
  if (is.null(form) && length(parts) == 1L) return(parts[[1L]])   # it may be large
  joined <- unlist(parts, recursive = FALSE, use.names = FALSE)
  if (is.null(form)) return(joined)
  if (is.list(joined)) return(structure(joined, form = form))
  known <- parts[!vapply(parts, function(part) all(is.na(part)), NA)]
  sets <- unique(lapply(if (length(known)) known else parts, attr, "levels"))
  if (form == "ordered" && length(sets) > 1L) form <- "factor"
  levels <- if (length(sets) == 1L) sets[[1L]] else sort(unique(unlist(sets)), method = "radix")
  structure(as.vector(joined), form = form, levels = levels)
}

# Values of alike replications, plain vectors of doubles, in one vector: R's garbage collector looks through it at once.
packed <- function(values) {
  n <- length(values)
  first <- values[[1L]]
  width <- length(first)
  labels <- names(first)
  if (n == 1L && width && is.double(first)) return(list(numbers = as.vector(first), labels = labels, width = width))
  alike <- function() {
    every <- unlist(lapply(values, names), use.names = FALSE)
    all(lengths(values, use.names = FALSE) == width) && length(every) == n * length(labels) &&
      isTRUE(all(every == labels))
  }
  if (width && all(vapply(values, is.double, NA, USE.NAMES = FALSE)) && alike())
    return(list(numbers = unlist(values, use.names = FALSE), labels = labels, width = width))
  list(values = values)
}

unpacked <- function(pack) {
  if (is.null(pack$numbers)) return(pack$values)
  numbers <- matrix(pack$numbers, nrow = pack$width)
  labels <- pack$labels
  if (is.null(labels)) lapply(seq_len(ncol(numbers)), function(i) numbers[, i])
  else lapply(seq_len(ncol(numbers)), function(i) structure(numbers[, i], names = labels))
}
