# The block format, which blocks.py describes.

escape <- function(x) gsub("\n", "\\n", gsub("\\", "\\\\", x, fixed = TRUE), fixed = TRUE)
unescape <- function(x) {
  gsub("\001", "\\", gsub("\\n", "\n", gsub("\\\\", "\001", x, fixed = TRUE), fixed = TRUE), fixed = TRUE)
}

column_kind <- function(x) {
  switch(typeof(x), double = "double", integer = "integer", logical = "logical", list = "raw", "string")
}

column_bytes <- function(x) {
  if (is.list(x)) {
    sizes <- lengths(x)
    sizes[vapply(x, is.null, NA)] <- -1L
    return(c(writeBin(sizes, raw(), endian = "little"), unlist(x)))
  }
  if (!is.character(x)) return(writeBin(if (is.logical(x)) as.integer(x) else x, raw(), endian = "little"))
  x <- utf8(x)
  lengths <- nchar(x, "bytes", allowNA = TRUE)
  lengths[is.na(x)] <- -1L
  c(writeBin(as.integer(lengths), raw(), endian = "little"), charToRaw(paste(x[!is.na(x)], collapse = "")))
}

# The bytes of a vector as a list's cell, and the vector in such bytes. kind: of the column.
bytes_of_list <- function(x) c(if (is.character(x)) writeBin(length(x), raw(), endian = "little"), column_bytes(x))

list_of_bytes <- function(bytes, kind) {
  if (kind == "double") return(readBin(bytes, "double", length(bytes) / 8, endian = "little"))
  whole <- readBin(bytes, "integer", length(bytes) / 4, endian = "little")
  switch(kind, integer = whole, logical = as.logical(whole), {
    n <- whole[1L]
    texts_of(bytes[-seq_len(4L * (n + 1L))], whole[seq_len(n) + 1L])
  })
}

# Texts from their bytes. lengths: of each, -1 where it is NA.
texts_of <- function(bytes, lengths) {
  x <- readChar(bytes, pmax(lengths, 0L), useBytes = TRUE)
  Encoding(x) <- "UTF-8"
  x[lengths < 0L] <- NA_character_
  x
}

# The table of the forms that columns have as an attribute, and of the levels of factors.
forms_of <- function(tables) {
  rows <- lapply(seq_along(tables), function(i) {
    columns <- unclass(tables[[i]]$columns)
    forms <- lapply(unname(columns), attr, "form")
    lapply(which(lengths(forms) > 0L), function(j)   # by number: names are looked for from the first one on
      list(table = i, column = names(columns)[j], form = forms[[j]], level = c(NA, attr(columns[[j]], "levels"))))
  })
  rows <- unlist(rows, recursive = FALSE)
  if (!length(rows)) return(NULL)
  each <- lengths(lapply(rows, `[[`, "level"))
  column <- function(name, kind) rep(vapply(rows, `[[`, kind, name), each)
  list(list(name = "forms", columns = list(table = column("table", 1L), column = column("column", ""),
    form = column("form", ""), level = as.character(unlist(lapply(rows, `[[`, "level"))))))
}

# facts: named character; tables: list of list(name =, columns = data frame or list of plain vectors, or of lists of raw
# vectors and NULL)
write_block <- function(path, facts, tables) {
  header <- c("simferry block 1", paste0(names(facts), ": ", escape(facts)))
  body <- list()
  for (table in c(tables, forms_of(tables))) {
    columns <- lapply(unclass(table$columns),
                      function(x) if (column_kind(x) == "string") as.character(x) else as.vector(x))
    header <- c(header, sprintf("table: %s %d", table$name, length(columns[[1]])),
                paste0(vapply(columns, column_kind, ""), ": ", escape(enc2utf8(names(columns)))))
    body <- c(body, columns)
  }
  con <- gzfile(path, "wb", compression = 1)
  size <- tryCatch({
    bytes <- charToRaw(paste0(paste(header, collapse = "\n"), "\n\n"))
    writeBin(bytes, con)
    length(bytes) + sum(vapply(body, write_column, 0, con))
  }, finally = close(con))
  # R does not say when a disk is full: read it back
  con <- gzfile(path, "rb")
  whole <- tryCatch({
    found <- 0
    while (n <- length(readBin(con, "raw", 2^22))) found <- found + n
    found
  }, error = function(e) -1, warning = function(w) -1, finally = close(con))
  if (whole != size) stop("could not be written whole: ", path, " (is there room on the disk?)", call. = FALSE)
}

# Returns how many bytes it has. A long one is written in pieces: in bytes it would take its memory once more.
write_column <- function(x, con) {
  n <- length(x)
  if (n <= 2^20 || is.character(x)) {
    bytes <- column_bytes(x)
    writeBin(bytes, con)
    return(as.numeric(length(bytes)))
  }
  if (is.list(x)) {
    sizes <- lengths(x)
    sizes[vapply(x, is.null, NA)] <- -1L
    return(write_column(sizes, con) + sum(vapply(x, write_column, 0, con)))
  }
  size <- 0
  for (at in seq(0, n - 1, by = 2^20)) size <- size + write_column(x[(at + 1):min(at + 2^20, n)], con)
  size
}

read_block <- function(path) {
  con <- gzfile(path, "rb")
  on.exit(close(con))
  facts <- list()
  tables <- list()
  order <- list()
  if (readLines(con, 1L) != "simferry block 1") stop(path, " is not a block")
  while (nzchar(line <- readLines(con, 1L, encoding = "UTF-8"))) {
    at <- regexpr(": ", line, fixed = TRUE)
    key <- substr(line, 1L, at - 1L)
    value <- substr(line, at + 2L, nchar(line))
    if (key == "table") {
      name <- sub(" [0-9]+$", "", value)
      tables[[name]] <- list()
      rows <- suppressWarnings(as.integer(sub("^.* ", "", value)))
    } else if (!length(tables)) facts[[key]] <- unescape(value)
    else order <- c(order, list(list(table = name, column = unescape(value), kind = key, rows = rows)))
  }
  damaged <- function() stop(path, " is damaged: it does not hold what its header describes", call. = FALSE)
  # gzip makes a byte of 1,032 at the most: what can't be there is given no memory
  left <- 1100 * file.size(path)
  take <- function(what, n, size) {
    if (is.na(n) || (left <<- left - n * size) < 0) damaged()
    x <- readBin(con, what, n, endian = "little")
    if (length(x) == n) x else damaged()
  }
  for (o in order) {
    x <- if (o$kind == "double") take("double", o$rows, 8) else take("integer", o$rows, 4)
    if (o$kind == "logical") x <- as.logical(x)
    if (o$kind == "string") {
      x <- texts_of(take("raw", sum(as.numeric(pmax(x, 0L))), 1), x)
    }
    if (o$kind == "raw") x <- lapply(x, function(length) if (length >= 0L) take("raw", length, 1))
    tables[[o$table]][[o$column]] <- x
  }
  if (length(readBin(con, "raw", 1L))) damaged()
  list(facts = facts, tables = tables)
}

# Texts as UTF-8, whatever encoding they say they have; bytes that are none are shown as <and their digits>.
utf8 <- function(x) {
  if (any(bytes <- Encoding(x) == "bytes")) Encoding(x)[bytes] <- "unknown"
  x <- enc2utf8(x)
  if (!all(valid <- validUTF8(x))) x[!valid] <- iconv(x[!valid], "UTF-8", "UTF-8", sub = "byte")
  x
}
