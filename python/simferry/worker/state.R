# The state of R that a replication may leave behind, and that is restored before the next one: options, environment
# variables, the locale, the umask. Graphics devices that were left open are closed. So results do not depend on which
# replications ran before in the same process. docs/decisions/state-between-replications.md says why it is done so;
# state.py does the same in Python.

# Of the process, after the simulation was loaded. changed(): whether a replication has changed it. restore(): puts it
# back. loading(): is called where a package begins to load or to be attached; what it returns is called at the end.
# What packages set then is theirs, and stays. new_packages(): packages that were attached since it was called last.
new_state <- function() {
  options_at_start <- as.list(.Options)
  options_copy <- as.pairlist(options_at_start)
  variables_at_start <- variables()
  locale_at_start <- .Internal(Sys.getlocale(1L))   # 1: LC_ALL
  categories <- c("LC_COLLATE", "LC_CTYPE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LC_MESSAGES")
  locale_parts <- vapply(categories, Sys.getlocale, "")
  umask <- Sys.umask(NA)
  devices <- open_devices()
  attached <- search()
  overwritten <- FALSE   # whether variables were set after a change, which they may hide

  changed <- function() {
    overwritten || !identical(.Options, options_copy) || !identical(variables(), variables_at_start) ||
      !identical(.Internal(Sys.getlocale(1L)), locale_at_start) || !identical(Sys.umask(NA), umask) ||
      !identical(open_devices(), devices)
  }
  restore <- function() {
    overwritten <<- FALSE
    for (device in setdiff(open_devices(), devices)) grDevices::dev.off(device)
    Sys.umask(umask)
    restore_locale(locale_parts)
    restore_variables(variables_at_start)
    restore_options(options_at_start)
    options_copy <<- as.pairlist(as.list(.Options))   # a copy: options() changes it in place. In the present order
    variables_at_start <<- variables()
    devices <<- open_devices()
  }
  loading <- function() {
    options_before <- as.list(.Options)
    variables_before <- variables()
    function() {
      now <- as.list(.Options)
      set <- names(now)[!mapply(identical, now, options_before[names(now)])]
      options_at_start[set] <<- now[set]
      options_copy <<- as.pairlist(options_at_start)
      set <- setdiff(variables(), variables_before)
      set <- set[!startsWith(set, "_R_NS_LOAD_=")]   # R's own, only while it loads a package
      replaced <- names_of_variables(variables_at_start) %in% names_of_variables(set)
      variables_at_start <<- c(variables_at_start[!replaced], set)
    }
  }
  # Sets environment variables of a replication, which are no change of its own.
  set <- function(values) {
    overwritten <<- overwritten || !identical(variables(), variables_at_start)
    set_variables(values)
    Encoding(values) <- "unknown"
    at <- match(names(values), names_of_variables(variables_at_start), nomatch = 0L)
    texts <- paste0(names(values), "=", values)
    variables_at_start[at] <<- texts[at > 0L]
    variables_at_start <<- c(variables_at_start, texts[at == 0L])
  }
  new_packages <- function() {
    if (identical(now <- search(), attached)) return()
    new <- setdiff(now, attached)
    attached <<- now
    new
  }
  list(changed = changed, restore = restore, loading = loading, set_variables = set, new_packages = new_packages)
}

# NAME=value, of all environment variables.
variables <- function() .Internal(Sys.getenv(character(), ""))

# values: by the names of variables.
set_variables <- function(values) {
  if (!length(values)) return()
  Encoding(values) <- "unknown"   # not converted to that of the locale
  do.call(Sys.setenv, as.list(values))
}

names_of_variables <- function(variables) variable_parts(variables)$name

variable_parts <- function(variables) {
  Encoding(variables) <- "bytes"   # of any encoding, or none
  at <- regexpr("=", variables, fixed = TRUE, useBytes = TRUE)
  parts <- list(name = substring(variables, 1L, at - 1L), value = substring(variables, at + 1L))
  lapply(parts, function(part) {
    Encoding(part) <- "unknown"
    part
  })
}

restore_variables <- function(wanted) {
  now <- variables()
  new <- setdiff(names_of_variables(now), names_of_variables(wanted))
  if (length(new)) Sys.unsetenv(new)
  parts <- variable_parts(setdiff(wanted, now))
  if (length(parts$name)) do.call(Sys.setenv, structure(as.list(parts$value), names = parts$name))
}

restore_options <- function(wanted) {
  now <- as.list(.Options)
  new <- setdiff(names(now), names(wanted))
  different <- !mapply(identical, wanted, now[names(wanted)])
  options(c(wanted[different], structure(vector("list", length(new)), names = new)))
}

restore_locale <- function(wanted) {
  for (category in names(wanted))
    if (Sys.getlocale(category) != wanted[[category]]) suppressWarnings(Sys.setlocale(category, wanted[[category]]))
}

# Their numbers.
open_devices <- function() {
  names <- baseenv()[[".Devices"]]
  which(nzchar(unlist(names)))[-1L]   # the first one is the null device
}
