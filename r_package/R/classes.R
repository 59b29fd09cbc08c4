# S4 classes, generics and methods of the session, and its reference classes: what the global environment holds of them.
#
# They are sent together, as one's methods may need any other, and only where a function needs them. The worker makes
# them known as R does with a workspace that it restores, see methods::cacheMetaData().

# Names of the objects to send; none where nothing of `objects` (functions and data) or among the names `used` needs
# one.
classes_needed <- function(objects, used) {
  kept <- ls(globalenv(), all.names = TRUE)
  classes <- kept[startsWith(kept, ".__C__")]
  tables <- kept[startsWith(kept, ".__T__")]
  if (!length(classes) && !length(tables)) return(character())
  ours <- Filter(function(name) isS4(globalenv()[[name]]) && is.function(globalenv()[[name]]), kept)
  generics <- sub("^[.]__T__(.*):[^:]*$", "\\1", tables)
  generics <- c(generics, if ("show" %in% generics) "print")
  needed <- any(ours %in% used) || any(vapply(objects, names_class, NA, sub("^[.]__C__", "", classes))) ||
    any(generics %in% used) && any(vapply(objects, is_of_class, NA))
  if (needed) c(classes, tables, ours) else character()
}

# Whether a function's code has the name of a class, as in new("Circle").
names_class <- function(f, classes) {
  look <- function(e) {
    if (is.character(e)) return(any(e %in% classes))
    is.call(e) && any(vapply(as.list(e), function(part) !missing(part) && look(part), NA))
  }
  is.function(f) && !is.primitive(f) && look(body(f))
}

is_of_class <- function(x) {
  isS4(x) && identical(attr(class(x), "package"), ".GlobalEnv") ||
    is.list(x) && any(vapply(unclass(x), is_of_class, NA))
}

# The functions in a class, a table of methods or a generic: each may use variables of the global environment.
functions_of_class <- function(x) {
  found <- if (methods::is(x, "refClassRepresentation")) c(as.list(x@refMethods), x@validity)
    else if (methods::is(x, "classRepresentation")) list(x@validity)
    else if (is.environment(x) && !isS4(x)) as.list(x)
  lapply(Filter(is.function, found), function(f) as.function(c(formals(f), list(body(f))), envir = environment(f)))
}

# Text for the fingerprint; NULL of an object that is data.
code_of_class <- function(x) {
  if (is.function(x)) return(c("S4", class(x), code_of(x)))
  if (!methods::is(x, "classRepresentation")) return(NULL)
  slots <- unlist(methods::getSlots(x))
  parts <- if (methods::is(x, "refClassRepresentation")) code_of_methods(as.environment(x@refMethods))
    else bridge("hash", bytes = serialize(x@prototype, NULL, xdr = TRUE, version = 2L))
  c("S4", x@className, names(slots), slots, names(x@contains), as.character(x@virtual),
    if (is.function(x@validity)) code_of(x@validity), parts)
}

code_of_methods <- function(table) {
  unlist(lapply(sort(ls(table, all.names = TRUE), method = "radix"), function(name)
    c(name, if (is.function(table[[name]])) code_of(table[[name]]))))
}

# ---- classes of packages ----

# The packages that the classes of objects need. predict(), print() or `[` of a class are found only where its package
# is loaded; without it R takes another class's, or the default, in silence.
packages_of_classes <- function(objects) {
  found <- classes_of(objects)
  sort(setdiff(unique(c(found$packages, owners_of(unique(found$classes)))), c(packages_of_r(), ".GlobalEnv")),
       method = "radix")
}

# The classes of objects and of what is in them, and the packages of those that are of S4.
classes_of <- function(objects) {
  packages <- classes <- character()
  walk <- function(x) {
    if (is.object(x)) {
      classes <<- c(classes, class(x))
      if (isS4(x)) {
        packages <<- c(packages, attr(class(x), "package"))
        for (slot in attributes(x)) if (is.object(slot) || is.list(slot)) walk(slot)
      }
    }
    if (is.list(x)) for (element in unclass(x)) if (is.object(element) || is.list(element)) walk(element)
  }
  walk(objects)
  list(classes = classes, packages = packages)
}

# The names of functions of the session that are methods of R's own generics for some classes. Code does not name them:
# `a + b` takes Ops.money(), and paste(a) as.character.money().
methods_of_session <- function(classes) {
  dotted <- grep(".", ls(globalenv()), fixed = TRUE, value = TRUE)
  typed <- Filter(function(name) is.function(globalenv()[[name]]), dotted)
  of_r <- function(generic) generic %in% c("Ops", "Math", "Summary", "Complex") ||
    any(vapply(homes_of_r(), function(home) is.function(get0(generic, home, inherits = FALSE)), NA))
  is_method <- function(name) {
    ends <- classes[endsWith(name, paste0(".", classes)) & nchar(name) > nchar(classes) + 1L]
    any(vapply(substring(name, 1L, nchar(name) - nchar(ends) - 1L), of_r, NA))
  }
  Filter(is_method, typed)
}

homes_of_r <- function() c(list(baseenv()), lapply(c("stats", "utils", "graphics", "methods"), asNamespace))

packages_of_r <- function() c("base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel",
                              "splines", "stats", "stats4", "tcltk", "tools", "utils")

# The packages that are loaded and have methods of R's own generics for a class, which R itself has none for.
owners_of <- function(classes) {
  if (!length(classes)) return(character())
  registered <- function(package) {
    methods <- if (package == "base") get(".S3_methods_table", baseenv()) else getNamespaceInfo(package, "S3methods")
    if (length(methods)) unique(methods[methods[, 2L] %in% classes, 1:2, drop = FALSE])
  }
  packages <- loadedNamespaces()
  known <- lapply(stats::setNames(packages, packages), registered)
  ours <- packages %in% packages_of_r()
  classes <- setdiff(classes, unlist(lapply(known[ours], function(m) m[, 2L])))
  homes <- homes_of_r()
  is_ours <- function(generic) any(vapply(homes, function(home) exists(generic, home, inherits = FALSE), NA))
  has_method <- function(m) length(m) && any(vapply(m[m[, 2L] %in% classes, 1L], is_ours, NA))
  packages[!ours & vapply(known, has_method, NA)]
}
