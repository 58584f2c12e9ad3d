"""What staff set up, as files in a folder: written out, compared with what is there, and brought in, all or nothing.

A kind of thing (templates, event types, workflows) is a class of its own in its app: ``kinds.Kind``.
"""
