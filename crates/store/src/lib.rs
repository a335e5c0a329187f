//! Image storage: blobs, layers, snapshots, images, archives, garbage collection.
