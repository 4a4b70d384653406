"""Where each kind of bad input is tested: its number → tests, as pytest names them.

A name without brackets stands for all of the test's parameters. `test_cases.py` checks that every
test is there.
"""

UPLOAD = "tests/ingest/test_upload.py::"
ZIP = "tests/ingest/test_zips.py::test_a_bad_zip_is_refused_as_a_whole"
COCO = "tests/datasets/test_imports.py::"
BY_POINTER = f"{COCO}test_a_bad_coco_file_is_refused_by_pointer"
MASKS = "tests/trust/test_bad_inputs_masks.py::"
GEOMETRY = "tests/trust/test_bad_inputs_geometry.py::"
WEB = "tests/trust/test_bad_inputs_web.py::"
NO_IMAGE = f"{UPLOAD}test_what_is_no_image_is_refused"
DAMAGED = f"{UPLOAD}test_damaged_images_are_refused"
INFERENCE = "tests/inference/test_api.py::"
WEIGHTS = "tests/inference/test_weights.py::"
MATRIX = "tests/trust/test_access_matrix.py::"

CASES: dict[int, list[str]] = {
    # Image upload
    1: [f"{NO_IMAGE}[empty]"],
    2: [f"{NO_IMAGE}[html]"],
    3: [f"{NO_IMAGE}[svg]"],
    4: [f"{NO_IMAGE}[eps]"],
    5: [f"{NO_IMAGE}[psd]", f"{NO_IMAGE}[fits]", f"{NO_IMAGE}[gd]"],
    6: [f"{NO_IMAGE}[gif-js]"],
    7: [f"{DAMAGED}[truncated-jpeg]"],
    8: [f"{DAMAGED}[bad-crc]"],
    9: [f"{DAMAGED}[no-idat]"],
    10: [f"{DAMAGED}[0x0]"],
    11: [f"{DAMAGED}[ztxt-bomb]"],
    12: [f"{DAMAGED}[iccp-bomb]"],
    13: [f"{DAMAGED}[huge-header]"],
    14: [f"{DAMAGED}[over-pixels]"],
    15: [f"{DAMAGED}[animated-webp]", f"{DAMAGED}[animated-png]"],
    16: [
        f"{UPLOAD}test_too_many_bytes",
        f"{UPLOAD}test_too_long_a_request_is_refused_by_its_length",
    ],
    17: [f"{UPLOAD}test_too_many_files"],
    18: [f"{UPLOAD}test_the_same_content_twice_names_the_image"],
    19: [f"{UPLOAD}test_every_orientation_is_taken"],
    20: [f"{UPLOAD}test_cmyk_and_sixteen_bits_keep_their_original"],
    21: [f"{UPLOAD}test_a_name_is_data"],
    # Zip upload
    22: [f"{ZIP}[parent]", f"{ZIP}[parent-inside]"],
    23: [f"{ZIP}[absolute]"],
    24: [f"{ZIP}[backslash]", f"{ZIP}[drive]"],
    25: [f"{ZIP}[symlink]"],
    26: [f"{ZIP}[encrypted]"],
    27: [f"{ZIP}[bomb]"],
    28: [f"{ZIP}[lying-large]", f"{ZIP}[lying-small]"],
    29: [f"{ZIP}[overlap]"],
    30: [f"{ZIP}[nested]"],
    31: ["tests/ingest/test_zips.py::test_too_many_entries_are_refused_quickly"],
    32: [f"{ZIP}[duplicate]", f"{ZIP}[case]"],
    33: [f"{ZIP}[nul]", f"{ZIP}[control]"],
    34: [f"{ZIP}[truncated]", f"{ZIP}[cut-directory]"],
    35: [f"{ZIP}[no-images]"],
    36: ["tests/ingest/test_zips.py::test_one_bad_image_of_ten"],
    37: ["tests/ingest/test_zips.py::test_a_full_disk_half_way_leaves_nothing"],
    # COCO import
    38: [f"{COCO}test_what_is_not_coco_is_refused"],
    39: [f"{COCO}test_what_is_not_coco_is_refused"],
    40: [f"{COCO}test_what_is_not_coco_is_refused"],
    41: [f"{COCO}test_what_is_not_coco_is_refused"],
    42: [f"{BY_POINTER}[no-images]", f"{BY_POINTER}[no-name]"],
    43: [
        f"{BY_POINTER}[image-id-twice]",
        f"{BY_POINTER}[annotation-id-twice]",
        f"{BY_POINTER}[category-id-twice]",
    ],
    44: [f"{BY_POINTER}[unknown-image]"],
    45: [f"{BY_POINTER}[unknown-category]"],
    46: [f"{BY_POINTER}[file-name-twice]"],
    47: [f"{BY_POINTER}[traversal]"],
    48: [f"{BY_POINTER}[other-width]"],
    49: [f"{BY_POINTER}[rle-as-polygon]", f"{BY_POINTER}[polygon-as-rle]"],
    50: [f"{COCO}test_iscrowd_may_be_missing"],
    51: [f"{COCO}test_too_large_a_file"],
    52: [f"{COCO}test_the_same_file_again_adds_nothing"],
    # Mask import
    53: [
        f"{MASKS}test_a_bare_mask_is_refused[53 another size]",
        f"{MASKS}test_a_mask_with_a_legend_is_refused[53 another size]",
    ],
    54: [f"{MASKS}test_a_bare_mask_is_refused[54 RGB]"],
    55: [f"{MASKS}test_a_mask_with_a_legend_is_refused[55 an unknown colour]"],
    56: [
        f"{MASKS}test_a_bare_mask_is_refused[56 16 bit beyond 8]",
        f"{MASKS}test_a_mask_with_a_legend_is_refused[56 a 16-bit value that means nothing]",
    ],
    57: [f"{MASKS}test_a_bare_mask_is_refused[57 JPEG]"],
    58: [f"{MASKS}test_58_a_mask_of_zeros_holds_no_object"],
    # Geometry
    59: [f"{GEOMETRY}test_bad_polygons[59 {what}]" for what in ("NaN", "inf", "1e999")],
    60: [f"{GEOMETRY}test_bad_polygons[60 1e8]"],
    61: [f"{GEOMETRY}test_bad_polygons[61 two points]"],
    62: [f"{GEOMETRY}test_bad_polygons[62 odd]"],
    63: [f"{GEOMETRY}test_bad_polygons[63 many points]"],
    64: [f"{GEOMETRY}test_bad_polygons[64 one line]", f"{GEOMETRY}test_bad_masks[64 no pixel]"],
    65: [
        f"{GEOMETRY}"
        "test_65_a_polygon_that_crosses_itself_is_taken_and_filled_by_the_documented_rule"
    ],
    66: [f"{GEOMETRY}test_bad_masks[66 a short sum]"],
    67: [f"{GEOMETRY}test_bad_masks[67 a long sum]"],
    68: [f"{GEOMETRY}test_bad_masks[68 negative]", f"{GEOMETRY}test_bad_masks[68 two to the 32]"],
    69: [f"{GEOMETRY}test_bad_masks[69 cut off]"],
    70: [f"{GEOMETRY}test_bad_masks[70 turned]", f"{GEOMETRY}test_bad_masks[70 larger]"],
    71: [f"{GEOMETRY}test_bad_values[71 NUL in an attribute]", f"{WEB}test_every_body_is_checked"],
    72: [
        f"{GEOMETRY}test_bad_values[72 a lone surrogate in an attribute]",
        f"{WEB}test_every_body_is_checked",
    ],
    73: [f"{GEOMETRY}test_73_null_in_a_form", f"{GEOMETRY}test_73_a_form_is_no_patch"],
    74: [f"{GEOMETRY}test_74_a_category_of_another_project"],
    75: [f"{GEOMETRY}test_75_a_stale_version_gets_both"],
    76: [f"{GEOMETRY}test_76_no_precondition"],
    77: [f"{GEOMETRY}test_bad_values[77 {what}]" for what in ("owner", "status", "id")],
    # Prompts and checkpoints
    78: [f"{INFERENCE}test_prompts_that_make_no_sense_are_refused_by_name"],
    79: [f"{INFERENCE}test_without_a_worker_the_answer_is_503_with_retry_after"],
    80: [
        f"{WEIGHTS}test_bad_weights_are_refused_with_the_reason",
        f"{WEIGHTS}test_weights_of_another_hash_are_not_installed",
        f"{WEIGHTS}test_the_canary_works",
    ],
    # Parameters, access, web, export
    81: [
        f"{WEB}test_81_odd_parameters",
        f"{WEB}test_81_unknown_parameters",
        f"{WEB}test_81_addresses_that_are_none",
    ],
    82: [
        f"{MATRIX}test_who_may",
        f"{MATRIX}test_what_one_may_not_see_looks_like_what_does_not_exist",
        f"{MATRIX}test_a_revoked_token_is_out_at_the_next_request",
        f"{MATRIX}test_a_forged_request_is_refused",
    ],
    83: [
        f"{WEB}TestAddresses::test_no_upload_by_address",
        f"{WEB}TestAddresses::test_no_image_of_an_import_is_fetched",
    ],
    84: [
        f"{WEB}TestNames::test_a_download_has_a_safe_name",
        f"{WEB}TestNames::test_an_image_has_a_safe_name",
        "tests/formats/test_pngs.py::test_the_legend_for_people_runs_no_formula",
        "tests/pages/test_security.py::test_text_stays_text",
        "tests/browser/test_text_stays_text.py::test_no_typed_text_runs",
    ],
}
