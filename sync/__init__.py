"""What hub and box share. The nouns, each said once:

hub          the school that publishes packages to its sites.
site         a teaching point (教学点), known to the hub by a short name.
box          the machine at a site; it has an identity of its own (`box id`), made anew by `box init`.
package      what is published: a lesson, a unit, a book. It has a stable id and a version that counts up.
resource     one thing a teacher opens: a file, or a bundle.
bundle       a resource of many files with an entry page (HTML5, H5P, SCORM).
manifest     one package version's list of resources and files, as canonical JSON.
object       a file's bytes, named by their SHA-256. A manifest is an object too.
feed         all that the hub says to one site: signed metadata (TUF) and what it vouches for.
desired      the feed's main target: which packages a site shall have, with which priority.
journal      all that a box says to its hub: numbered records, never edited.
segment      a numbered slice of a journal, chained, signed, sealed for the hub.
acknowledgement  what the hub says it has safely of a journal; only then does a box delete.
library      the folder of all objects, laid out alike at the hub, the box and on a stick.

Modules without input or output decide what is trusted and what to do next (`manifest`, `trust`,
`segment`, `plan`); the others move bytes and keep state.
"""
